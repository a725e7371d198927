"""SafeGrad: take out of the task gradient what works against the alignment gradient.

`g_a = grad KL(base || tuned)` on a safety batch. Where `g . g_a < 0` the task gradient becomes
`g - (g . g_a / |g_a|^2) g_a`; then `weight * g_a` is added (0 = projection alone). After
arXiv 2508.07172. The products run over all trained parameters together.
"""

from __future__ import annotations

from typing import Any

import torch

from holdfast.errors import InputError
from holdfast.train.guard_config import SafeGrad
from holdfast.train.guards.anchor_table import AnchorTable
from holdfast.train.guards.base import Guard, GuardContext, Step
from holdfast.train.guards.tools import Mean, SafetyBatches, safety_batch_size, trainable


def project(task: list[torch.Tensor], align: list[torch.Tensor], weight: float) -> list[torch.Tensor]:
    """The combined gradient, one tensor per parameter."""
    dot = _dot(task, align)
    square = _dot(align, align)
    factor = torch.where((dot < 0) & (square > 0), dot / square.clamp(min=1e-30), torch.zeros_like(dot))
    return [t + (weight - factor).to(t.dtype) * a for t, a in zip(task, align, strict=True)]


def take_gradients(parameters: list[torch.nn.Parameter]) -> list[torch.Tensor]:
    """The parameters' gradients (zero where there is none), taken away from them."""
    taken = []
    for parameter in parameters:
        taken.append(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
        parameter.grad = None
    return taken


def _dot(left: list[torch.Tensor], right: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack([(a.float() * b.float()).sum() for a, b in zip(left, right, strict=True)]).sum()


class SafeGradGuard(Guard):
    """See the module; built from a `SafeGrad` configuration."""

    name = "safegrad"

    def __init__(self, config: SafeGrad) -> None:
        self.config = config
        self._mean = Mean()

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Compute (or read back) the base's log-probabilities on the safety rows.

        Raises:
            InputError: Parameters are sharded over processes.
        """
        if trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
            raise InputError(
                "safegrad needs whole gradients, which DeepSpeed and FSDP shard",
                fix="use kl_anchor, or plain data parallelism",
            )
        self._table = AnchorTable(trainer, context, self.config.top_k, self.config.memory_mb, self.name)
        size = safety_batch_size(trainer, self.config.batch_size)
        self._batches = SafetyBatches(len(self._table.rows), size, context.seed)

    def gradient(self, trainer: Any, model: Any, step: Step) -> None:
        """Replace the accumulated task gradient by the combined one."""
        parameters = trainable(model)
        task = take_gradients(parameters)
        with trainer.accelerator.no_sync(model):
            kl = self._table.kl(model, self._batches.at(step.global_step))
            scaler = getattr(trainer.accelerator, "scaler", None)
            (kl * scaler.get_scale() if scaler is not None else kl).backward()
        align = take_gradients(parameters)
        for parameter, new in zip(parameters, project(task, align, self.config.weight), strict=True):
            parameter.grad = new
        self._mean.add(kl)

    def log(self) -> dict[str, float]:
        """Mean divergence since the last log."""
        return self._mean.take("safegrad_kl")
