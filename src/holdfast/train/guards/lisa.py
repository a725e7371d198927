"""Lisa: alternate between user data and safety rows, held near the weights of the switch.

In every cycle `user_steps` steps on the user's batches are followed by `align_steps` steps on
safety rows (cross-entropy); each phase minimises `f(w) + rho / 2 |w - w_switch|^2`, where w_switch
are the weights at the end of the other phase. After Huang et al., NeurIPS 2024. Steps on safety rows
take the place of the user's batch of that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from holdfast.train.guard_config import Lisa
from holdfast.train.guards.base import Guard, GuardContext, Step
from holdfast.train.guards.tools import SafetyBatches, label_logps, need_safety, reduce, trainable
from holdfast.train.rows import IGNORE, TokenRow, collate


class LisaGuard(Guard):
    """See the module; built from a `Lisa` configuration."""

    name = "lisa"
    replaces_loss = True

    def __init__(self, config: Lisa) -> None:
        self.config = config
        self._switch: list[torch.Tensor] = []

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Fix the lengths of the phases."""
        need_safety(context, self.name)
        self._rows: list[TokenRow] = list(context.safety)
        self._pad = context.pad
        size = trainer.args.per_device_train_batch_size
        self._batches = SafetyBatches(len(self._rows), size, context.seed)
        cycle = min(1000, max(10, trainer.state.max_steps // 10))
        self._align = self.config.align_steps or max(1, cycle // 10)
        self._user = self.config.user_steps or cycle - self._align

    def aligning(self, step: int) -> bool:
        """Whether optimiser step `step` (from 0) works on safety rows."""
        return step % (self._user + self._align) >= self._user

    def before_step(self, trainer: Any, model: Any, step: Step) -> None:
        """Remember the weights at every switch."""
        now = step.global_step
        if not self._switch or self.aligning(now) != self.aligning(now - 1):
            self._switch = [p.detach().clone() for p in trainable(model)]

    def main_loss(
        self, trainer: Any, model: Any, inputs: Mapping[str, Any], num_items: Any
    ) -> tuple[torch.Tensor, Any]:
        """Cross-entropy on the user's batch, or on safety rows in the alignment phase."""
        if self.aligning(trainer.state.global_step):
            step = trainer._guard_step(num_items)
            rows = [self._rows[i] for i in self._batches.at(step.micro)]
            batch = {k: v.to(trainer.args.device) for k, v in collate(rows, self._pad).items()}
            logps = label_logps(trainer, model, batch)
            mask = batch["labels"][:, 1:] != IGNORE
            return reduce(trainer, -logps, mask, None) * step.share, None
        logps = label_logps(trainer, model, inputs)
        return reduce(trainer, -logps, inputs["labels"][:, 1:] != IGNORE, num_items), None

    def gradient(self, trainer: Any, model: Any, step: Step) -> None:
        """Add the gradient of the proximal term."""
        for parameter, switch in zip(trainable(model), self._switch, strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - switch, alpha=self.config.rho)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights at the last switch."""
        return {str(index): tensor for index, tensor in enumerate(self._switch)}

    def load_state(self, state: dict[str, torch.Tensor], device: Any = None) -> None:
        """Take back the weights at the last switch."""
        self._switch = [state[str(index)].to(device) for index in range(len(state))]
