"""What guards share: the base as reference, label log-probabilities, seeded safety batches."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import Any

import torch

from holdfast.errors import InputError
from holdfast.train.guards.base import GuardContext
from holdfast.train.rows import IGNORE


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


def without_labels(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The batch without labels: with them some trainers return a loss and no logits."""
    return {k: v for k, v in inputs.items() if k != "labels"} | {"use_cache": False}


def label_logps(trainer: Any, model: Any, inputs: Mapping[str, Any]) -> torch.Tensor:
    """Log-probability of every label, shape (rows, length - 1); 0 where there is none.

    Goes through TRL's fused head where the trainer put one on the model, which never holds
    the logits of the whole batch.
    """
    if _has_fused_head(trainer):
        fused: torch.Tensor = model(**inputs, use_cache=False, fused_lm_head=True).log_probs
        return fused
    labels = inputs["labels"][:, 1:]
    logits = model(**without_labels(inputs)).logits[:, :-1]
    mask = labels != IGNORE
    logps = torch.zeros(labels.shape, dtype=torch.float32, device=logits.device)
    picked = logits[mask].float().log_softmax(-1).gather(-1, labels[mask].unsqueeze(-1)).squeeze(-1)
    return logps.masked_scatter(mask, picked)


def _has_fused_head(trainer: Any) -> bool:
    if not any(cls.__name__ == "SFTTrainer" for cls in type(trainer).__mro__):
        return False
    major, minor = (int(part) for part in version("trl").split(".")[:2])
    return (major, minor) >= (1, 15)


def reduce(trainer: Any, per_token: torch.Tensor, mask: torch.Tensor, num_items: Any) -> torch.Tensor:
    """Sum of token losses over the tokens of the whole accumulated step, or this batch's mean.

    Follows what `Trainer.training_step` does afterwards: a loss that is a sum over
    `num_items_in_batch` is not divided by the accumulation steps, a mean is.
    """
    total = (per_token * mask).sum()
    if num_items is None or not trainer._loss_is_sum(num_items):
        return total / mask.sum().clamp(min=1)
    if trainer.args.average_tokens_across_devices:
        total = total * trainer.accelerator.num_processes
    mean: torch.Tensor = total / num_items
    return mean


def safety_batch_size(trainer: Any, wanted: int | None) -> int:
    """Safety rows per micro-batch: as told, or a quarter of the training batch."""
    return wanted or max(1, trainer.args.per_device_train_batch_size // 4)


class Mean:
    """A running mean for the log; holds tensors so that a GPU is not made to wait."""

    def __init__(self) -> None:
        self._values: list[torch.Tensor] = []

    def add(self, value: torch.Tensor) -> None:
        """Add one value."""
        self._values.append(value.detach())

    def take(self, name: str) -> dict[str, float]:
        """The mean since the last call under `name`, or nothing."""
        if not self._values:
            return {}
        mean = float(torch.stack(self._values).float().mean())
        self._values.clear()
        return {name: mean}
