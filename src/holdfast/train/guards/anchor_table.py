"""The base's next-token distributions on the safety rows: computed once, stored, compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from holdfast.files import digest_value
from holdfast.train.guards.base import GuardContext
from holdfast.train.guards.tools import need_base, need_safety, reference
from holdfast.train.rows import IGNORE, TokenRow, collate
from holdfast.train.store import load_tensors, save_tensors

_DEFAULT_TOP_K = 256
_BATCH = 16


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


class AnchorTable:
    """Log-probabilities of the base at every answer position of the safety rows.

    Args:
        trainer: The trainer, with its model in place.
        context: Gives the safety rows and the folder where the table is stored.
        top_k: Entries kept per position; 0 = all, None = all while the table fits `memory_mb`.
        memory_mb: Room for the table.
        guard: Name of the guard, for errors.
    """

    def __init__(
        self, trainer: Any, context: GuardContext, top_k: int | None, memory_mb: int, guard: str
    ) -> None:
        need_safety(context, guard)
        self.rows = list(context.safety)
        self._pad = context.pad
        self._device = trainer.args.device
        self._starts = [0]
        for row in self.rows:
            count = sum(label != IGNORE for label in row.labels[1:])
            self._starts.append(self._starts[-1] + count)
        path = None if context.folder is None else context.folder / "anchor.safetensors"
        key = digest_value([context.key, top_k, memory_mb, [[r.input_ids, r.labels] for r in self.rows]])
        table = None if path is None else load_tensors(path, key)
        if table is None:
            need_base(trainer, guard)
            table = self._compute(trainer, top_k, memory_mb)
            if path is not None and trainer.is_world_process_zero():
                save_tensors(path, table, key)
        self._logps = table["logps"].to(self._device)
        self._ids = table["ids"].to(self._device) if "ids" in table else None

    def kl(self, model: Any, chosen: Sequence[int]) -> torch.Tensor:
        """Mean KL(base || model) over the answer positions of the chosen rows."""
        spans = [torch.arange(self._starts[i], self._starts[i + 1]) for i in chosen]
        place = torch.cat(spans).to(self._device)
        tuned = self._answer_logps(model, [self.rows[i] for i in chosen])
        base = self._logps[place]
        return kl_full(base, tuned) if self._ids is None else kl_top(base, self._ids[place], tuned)

    def _compute(self, trainer: Any, top_k: int | None, memory_mb: int) -> dict[str, torch.Tensor]:
        logps, ids = [], []
        # Never more rows than training itself holds at once.
        size = min(_BATCH, trainer.args.per_device_train_batch_size)
        model = trainer.model
        training = model.training
        model.eval()
        with torch.no_grad(), reference(trainer):
            for start in range(0, len(self.rows), size):
                base = self._answer_logps(model, self.rows[start : start + size])
                k = self._entries(base.shape[-1], top_k, memory_mb)
                if k:
                    base, top = base.topk(k, dim=-1)
                    ids.append(top.cpu())
                logps.append(base.cpu())
        model.train(training)
        table = {"logps": torch.cat(logps).contiguous()}
        if ids:
            table["ids"] = torch.cat(ids).contiguous()
        return table

    def _entries(self, vocabulary: int, top_k: int | None, memory_mb: int) -> int:
        if top_k is not None:
            return min(top_k, vocabulary)
        fits = self._starts[-1] * vocabulary * 4 <= memory_mb << 20
        return 0 if fits else min(_DEFAULT_TOP_K, vocabulary)

    def _answer_logps(self, model: Any, rows: Sequence[TokenRow]) -> torch.Tensor:
        """Log-probabilities at the answer positions of `rows`, (positions, vocabulary), fp32."""
        batch = {k: v.to(self._device) for k, v in collate(rows, self._pad).items()}
        labels = batch.pop("labels")
        logits: torch.Tensor = model(**batch, use_cache=False).logits[:, :-1]
        return logits[labels[:, 1:] != IGNORE].float().log_softmax(-1)
