"""What a guard is: optional hooks around the steps of a `transformers.Trainer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from holdfast.train.rows import TokenRow


@dataclass
class GuardContext:
    """What guards may use.

    Attributes:
        safety: Tokenised safety rows.
        folder: Where reference values are stored; a resumed run reads them back.
        seed: Seed of everything a guard draws.
        pad: Padding token id.
        key: Digest of the base; stored reference values with another key are not used.
        base: Folder of the base, for the guards that read its weights.
        tokenizer: The tokenizer, for the guards that read the rows as text.
    """

    safety: Sequence[TokenRow] = ()
    folder: Path | None = None
    seed: int = 0
    pad: int = 0
    key: str = ""
    base: Path | None = None
    tokenizer: Any = None


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

    def setup(self, trainer: Any, context: GuardContext) -> None:
        """Called when the guard is attached: the model is still the base, nothing is wrapped."""

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Called once before the first step (on resume: with the checkpoint loaded).

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

    def load_state(self, state: dict[str, torch.Tensor], device: Any = None) -> None:
        """Take back what `state` gave."""

    def log(self) -> dict[str, float]:
        """Numbers for the trainer's log since the last call."""
        return {}
