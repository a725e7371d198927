"""KL anchor: on safety rows the tuned model keeps the base's next-token distributions.

`weight * mean_t KL(p_base(. | x, y_<t) || p_tuned(. | x, y_<t))` over the answer positions of a
small separate batch. The base's log-probabilities are computed once and stored, so that a step
costs one extra forward and backward pass over that batch and never a second reference pass.
"""

from __future__ import annotations

from typing import Any

import torch

from holdfast.train.config import KLAnchor
from holdfast.train.guards.base import (
    Guard,
    GuardContext,
    SafetyBatches,
    Step,
    need_base,
    need_safety,
    reference,
)
from holdfast.train.rows import IGNORE, TokenRow, collate
from holdfast.train.store import load_tensors, save_tensors

_DEFAULT_TOP_K = 256


def kl_full(base: torch.Tensor, tuned: torch.Tensor) -> torch.Tensor:
    """Mean KL(base || tuned) of log-probabilities of shape (positions, vocabulary)."""
    return (base.exp() * (base - tuned)).sum(-1).mean()


def kl_top(base: torch.Tensor, ids: torch.Tensor, tuned: torch.Tensor) -> torch.Tensor:
    """Mean KL over the base's top entries and one bucket for the rest.

    Coarse-graining never raises a KL divergence, so this is a lower bound of `kl_full`.

    Args:
        base: Log-probabilities of the top entries, shape (positions, k).
        ids: Their vocabulary ids, same shape.
        tuned: Log-probabilities of the tuned model, shape (positions, vocabulary).
    """
    top = tuned.gather(-1, ids)
    kl = (base.exp() * (base - top)).sum(-1)
    rest_base, rest_tuned = _rest(base), _rest(top)
    return (kl + rest_base.exp() * (rest_base - rest_tuned)).mean()


def _rest(top: torch.Tensor) -> torch.Tensor:
    """Log of the probability outside the top entries, kept finite."""
    inside = top.exp().sum(-1)
    return torch.log((1 - inside).clamp(min=1e-6))


class KLAnchorGuard(Guard):
    """See the module; built from a `KLAnchor` configuration."""

    name = "kl_anchor"

    def __init__(self, config: KLAnchor) -> None:
        self.config = config
        self._rows: list[TokenRow] = []
        self._table: dict[str, torch.Tensor] = {}
        self._starts: list[int] = []
        self._sum, self._count = 0.0, 0

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Compute (or read back) the base's log-probabilities on the safety rows."""
        need_safety(context, self.name)
        self._rows = list(context.safety)
        self._pad = context.pad
        size = self.config.batch_size or max(1, trainer.args.per_device_train_batch_size // 4)
        self._batches = SafetyBatches(len(self._rows), size, context.seed)
        counts = [sum(label != IGNORE for label in row.labels[1:]) for row in self._rows]
        self._starts = [0]
        for count in counts:
            self._starts.append(self._starts[-1] + count)
        path = None if context.folder is None else context.folder / "kl_anchor.safetensors"
        key = f"{context.key}:{self.config.top_k}:{self.config.memory_mb}"
        table = None if path is None else load_tensors(path, key)
        if table is None:
            need_base(trainer, self.name)
            table = self._base_table(trainer)
            if path is not None and trainer.is_world_process_zero():
                save_tensors(path, table, key)
        self._table = {name: tensor.to(trainer.args.device) for name, tensor in table.items()}

    def _base_table(self, trainer: Any) -> dict[str, torch.Tensor]:
        logps, ids = [], []
        model = trainer.model
        training = model.training
        model.eval()
        with torch.no_grad(), reference(trainer):
            for start in range(0, len(self._rows), 16):
                base = self._answer_logps(model, self._rows[start : start + 16], trainer.args.device)
                k = self._top_k(base.shape[-1])
                if k:
                    base, top = base.topk(k, dim=-1)
                    ids.append(top.cpu())
                logps.append(base.cpu())
        model.train(training)
        table = {"logps": torch.cat(logps).contiguous()}
        if ids:
            table["ids"] = torch.cat(ids).contiguous()
        return table

    def _top_k(self, vocabulary: int) -> int:
        if self.config.top_k is not None:
            return min(self.config.top_k, vocabulary)
        full = self._starts[-1] * vocabulary * 4
        return 0 if full <= self.config.memory_mb << 20 else min(_DEFAULT_TOP_K, vocabulary)

    def _answer_logps(self, model: Any, rows: list[TokenRow], device: Any) -> torch.Tensor:
        """Log-probabilities at the answer positions of `rows`, (positions, vocabulary), fp32."""
        batch = {k: v.to(device) for k, v in collate(rows, self._pad).items()}
        labels = batch.pop("labels")
        logits: torch.Tensor = model(**batch, use_cache=False).logits[:, :-1]
        return logits[labels[:, 1:] != IGNORE].float().log_softmax(-1)

    def loss(self, trainer: Any, model: Any, step: Step) -> torch.Tensor | None:
        """The weighted divergence on this micro-batch's safety rows."""
        if step.micro % self.config.every:
            return None
        chosen = self._batches.at(step.micro // self.config.every)
        spans = [torch.arange(self._starts[i], self._starts[i + 1]) for i in chosen]
        place = torch.cat(spans).to(trainer.args.device)
        tuned = self._answer_logps(model, [self._rows[i] for i in chosen], trainer.args.device)
        base = self._table["logps"][place]
        ids = self._table.get("ids")
        kl = kl_full(base, tuned) if ids is None else kl_top(base, ids[place], tuned)
        self._sum += float(kl.detach())
        self._count += 1
        return self.config.weight * self.config.every * kl

    def log(self) -> dict[str, float]:
        """Mean divergence since the last log."""
        if not self._count:
            return {}
        mean, self._sum, self._count = self._sum / self._count, 0.0, 0
        return {"kl_anchor": mean}
