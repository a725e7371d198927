"""Constrained SFT: the first answer tokens may move little from the base (Qi et al., ICLR 2025).

Per answer token t the loss is `-(2 / b_t) log sigmoid(b_t (log p_tuned - log p_base))`. Its gradient
is that of cross-entropy weighted by `w_t = 2 (1 - sigmoid(b_t (log p_tuned - log p_base)))`, which is
what is computed, with w_t detached and kept >= `min_weight`. The base's log-probabilities of the
labels come from one pass before the first step and are memory-mapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from holdfast.train.guard_config import Constrained
from holdfast.train.guards.base import Guard, GuardContext
from holdfast.train.guards.label_store import LabelStore
from holdfast.train.guards.tools import label_logps, reduce
from holdfast.train.rows import IGNORE


def answer_positions(labels: torch.Tensor) -> torch.Tensor:
    """Place of every label in its answer, counted from 1; 0 where there is no label.

    Args:
        labels: Shape (rows, length). A new answer begins after every gap.
    """
    mask = labels != IGNORE
    count = mask.long().cumsum(-1)
    before_gap = torch.where(mask, torch.zeros_like(count), count).cummax(-1).values
    return torch.where(mask, count - before_gap, torch.zeros_like(count))


def betas(positions: torch.Tensor, config: Constrained) -> torch.Tensor:
    """The strength of the constraint at every position (first, second to fifth, later)."""
    late = torch.full(positions.shape, config.beta_rest, device=positions.device)
    early = torch.where(positions <= 5, torch.full_like(late, config.beta_early), late)
    return torch.where(positions <= 1, torch.full_like(late, config.beta_first), early)


class ConstrainedGuard(Guard):
    """See the module; built from a `Constrained` configuration."""

    name = "constrained"
    replaces_loss = True

    def __init__(self, config: Constrained) -> None:
        self.config = config

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Compute (or map) the base's log-probabilities of every training label."""
        self._store = LabelStore.open(trainer, context, self.name)

    def main_loss(
        self, trainer: Any, model: Any, inputs: Mapping[str, Any], num_items: Any
    ) -> tuple[torch.Tensor, Any]:
        """The constrained loss; its value is the formula's, its gradient the weighted one."""
        logps = label_logps(trainer, model, inputs)
        base = self._store.lookup(inputs).to(logps.device)
        labels = inputs["labels"][:, 1:]
        mask = labels != IGNORE
        beta = betas(answer_positions(labels), self.config)
        gap = beta * (logps - base)
        weight = (2 * (1 - torch.sigmoid(gap))).detach().clamp(min=self.config.min_weight)
        surrogate = reduce(trainer, -weight * logps, mask, num_items)
        value = reduce(trainer, -2 / beta * logsigmoid(gap), mask, num_items)
        return surrogate + (value - surrogate).detach(), None
