"""What a guard is: optional hooks around the steps of a `transformers.Trainer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from holdfast.errors import InputError
from holdfast.train.rows import TokenRow


@dataclass
class GuardContext:
    """What guards may use.

    Attributes:
        safety: Tokenised safety rows.
        folder: Where reference values are stored; a resumed run reads them back.
        seed: Seed of everything a guard draws.
        pad: Padding token id.
        key: Digest of base model and data; stored reference values with another key are refused.
        unaligned: The checkpoint before alignment, for the guards that need it.
    """

    safety: Sequence[TokenRow] = ()
    folder: Path | None = None
    seed: int = 0
    pad: int = 0
    key: str = ""
    unaligned: Path | None = None
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """Where training stands.

    Attributes:
        micro: Micro-batches seen since the start of the run, over all resumes.
        share: What a per-micro-batch loss must be multiplied by, so that gradient
            accumulation yields its mean.
        global_step: Optimiser steps done.
    """

    micro: int
    share: float
    global_step: int


class Guard:
    """A training-time defence; override what you need.

    Attributes:
        name: The name in the configuration and in the logs.
        replaces_loss: Whether `main_loss` stands in for the trainer's own loss.
    """

    name = "guard"
    replaces_loss = False

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Called once before the first step, with the model on its device.

        Raises:
            InputError: Something the guard needs is missing.
        """

    def main_loss(
        self, trainer: Any, model: Any, inputs: Mapping[str, Any], num_items: Any
    ) -> tuple[torch.Tensor, Any]:
        """The loss on the fine-tuning batch and the model's outputs, where `replaces_loss`."""
        raise NotImplementedError

    def loss(self, trainer: Any, model: Any, step: Step) -> torch.Tensor | None:
        """A term added to the loss of this micro-batch (a mean, not yet scaled), or None."""
        return None

    def gradient(self, trainer: Any, model: Any, step: Step) -> None:
        """Change the accumulated gradients, before they are clipped."""

    def before_step(self, trainer: Any, model: Any, step: Step) -> None:
        """Called at the start of an optimiser step."""

    def after_step(self, trainer: Any, model: Any, step: Step) -> None:
        """Called after an optimiser step."""

    def finish(self, trainer: Any, model: Any) -> None:
        """Called after the last step; may set the final weights."""

    def state(self) -> dict[str, torch.Tensor]:
        """Tensors that a checkpoint must hold for a resumed run to be the same."""
        return {}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take back what `state` gave."""

    def log(self) -> dict[str, float]:
        """Numbers for the trainer's log since the last call."""
        return {}


def reference(trainer: Any) -> AbstractContextManager[Any]:
    """A context in which the trainer's model is the base: its adapter switched off.

    With full fine-tuning it is only the base before the first step.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    return model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext()


def is_adapter(trainer: Any) -> bool:
    """Whether the trainer trains a PEFT adapter."""
    return hasattr(trainer.accelerator.unwrap_model(trainer.model), "disable_adapter")


def need_base(trainer: Any, guard: str) -> None:
    """Refuse to take a half-tuned model for the base.

    Raises:
        InputError: Full fine-tuning has already begun.
    """
    if not is_adapter(trainer) and trainer.state.global_step > 0:
        raise InputError(
            f"the guard '{guard}' lost its stored base values and the base is no longer in memory",
            fix="start the run over in a fresh folder",
        )


def need_safety(context: GuardContext, guard: str) -> None:
    """Refuse to go on without safety rows.

    Raises:
        InputError: There are none.
    """
    if not context.safety:
        raise InputError(
            f"the guard '{guard}' needs safety rows and there are none",
            fix="pass the safety.jsonl that `holdfast mix` writes (--safety)",
        )


def trainable(model: Any) -> list[torch.nn.Parameter]:
    """The parameters that are trained, in the model's order."""
    return [p for p in model.parameters() if p.requires_grad]


class SafetyBatches:
    """Draws rows by micro-batch number alone, so a resumed run sees the same ones.

    Every pass over the rows is a new seeded permutation.
    """

    def __init__(self, count: int, size: int, seed: int) -> None:
        self.count = count
        self.size = min(size, count)
        self.seed = seed
        self._cache: tuple[int, list[int]] = (-1, [])

    def at(self, number: int) -> list[int]:
        """Row numbers of batch `number`."""
        first = number * self.size
        return [self._row(index) for index in range(first, first + self.size)]

    def _row(self, index: int) -> int:
        epoch, place = divmod(index, self.count)
        if self._cache[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._cache = (epoch, torch.randperm(self.count, generator=generator).tolist())
        return self._cache[1][place]
