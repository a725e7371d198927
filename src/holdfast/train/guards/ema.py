"""EMA: the result is the exponential moving average of the weights, not their last value.

`m <- d m + (1 - d) w` after every step, with `d = min(decay, (1 + t) / (10 + t))` so that a short
run is not held at its start.
"""

from __future__ import annotations

from typing import Any

import torch

from holdfast.train.guard_config import EMA
from holdfast.train.guards.base import Guard, GuardContext, Step
from holdfast.train.guards.tools import trainable


class EMAGuard(Guard):
    """See the module; built from an `EMA` configuration."""

    name = "ema"

    def __init__(self, config: EMA) -> None:
        self.config = config
        self._mean: list[torch.Tensor] = []

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Start from the weights at hand."""
        if not self._mean:
            self._mean = [p.detach().float().clone() for p in trainable(trainer.model)]

    def after_step(self, trainer: Any, model: Any, step: Step) -> None:
        """Move the average."""
        done = step.global_step
        decay = min(self.config.decay, (1 + done) / (10 + done))
        for mean, parameter in zip(self._mean, trainable(model), strict=True):
            mean.lerp_(parameter.detach().float(), 1 - decay)

    def finish(self, trainer: Any, model: Any) -> None:
        """Put the average in place of the weights."""
        for mean, parameter in zip(self._mean, trainable(model), strict=True):
            parameter.data.copy_(mean)

    def state(self) -> dict[str, torch.Tensor]:
        """The average."""
        return {str(index): tensor for index, tensor in enumerate(self._mean)}

    def load_state(self, state: dict[str, torch.Tensor], device: Any = None) -> None:
        """Take the average back."""
        self._mean = [state[str(index)].to(device) for index in range(len(state))]
