"""KL anchor: on safety rows the tuned model keeps the base's next-token distributions.

`weight * mean_t KL(p_base(. | x, y_<t) || p_tuned(. | x, y_<t))` over the answer positions of a
small separate batch. The base's log-probabilities are computed once and stored, so that a step
costs one extra forward and backward pass over that batch and never a second reference pass.
"""

from __future__ import annotations

from typing import Any

import torch

from holdfast.train.guard_config import KLAnchor
from holdfast.train.guards.anchor_table import AnchorTable
from holdfast.train.guards.base import Guard, GuardContext, Step
from holdfast.train.guards.tools import Mean, SafetyBatches, safety_batch_size


class KLAnchorGuard(Guard):
    """See the module; built from a `KLAnchor` configuration."""

    name = "kl_anchor"

    def __init__(self, config: KLAnchor) -> None:
        self.config = config
        self._mean = Mean()

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Compute (or read back) the base's log-probabilities on the safety rows."""
        self._table = AnchorTable(trainer, context, self.config.top_k, self.config.memory_mb, self.name)
        size = safety_batch_size(trainer, self.config.batch_size)
        self._batches = SafetyBatches(len(self._table.rows), size, context.seed)

    def loss(self, trainer: Any, model: Any, step: Step) -> torch.Tensor | None:
        """The weighted divergence on this micro-batch's safety rows."""
        if step.micro % self.config.every:
            return None
        kl = self._table.kl(model, self._batches.at(step.micro // self.config.every))
        self._mean.add(kl)
        return self.config.weight * self.config.every * kl

    def log(self) -> dict[str, float]:
        """Mean divergence since the last log."""
        return self._mean.take("kl_anchor")
