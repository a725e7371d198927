"""RESTA and LoX: add back, or add beforehand, what alignment changed.

`delta_safe = W_base - W_unaligned`. RESTA adds `gamma * delta_safe` to the tuned weights (Bhardwaj
et al., ACL 2024), optionally after DARE has dropped a share of the task update at random and
rescaled the rest (Yu et al., ICML 2024). LoX adds `c * TopK_SVD(delta_safe)` to the base before
fine-tuning (Perin et al., COLM 2025).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InputError
from holdfast.models.folder import is_adapter
from holdfast.repair.checkpoints import (
    check_layers,
    check_match,
    digest,
    is_linear,
    open_checkpoint,
    rewrite_checkpoint,
    seeded,
)
from holdfast.repair.lowrank import Factors, concatenate, low_rank, open_linear, write_adapter
from holdfast.repair.record import RepairRecord
from holdfast.repair.settings import at_least_one, finite

if TYPE_CHECKING:
    import torch


def dare(update: torch.Tensor, drop: float, seed: int) -> torch.Tensor:
    """Set a share `drop` of the entries to zero at random and divide the rest by `1 - drop`."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    keep = torch.rand(update.shape, generator=generator) >= drop
    return update * keep / (1 - drop)


def resta(
    tuned: Path,
    base: Path,
    unaligned: Path,
    out: Path,
    *,
    gamma: float = 0.5,
    drop: float = 0.0,
    rank: int = 16,
    seed: int = 0,
) -> RepairRecord:
    """Add the safety vector to a tuned model.

    On a full checkpoint every floating-point tensor gets `gamma * delta_safe`. On an adapter, which
    cannot hold a full-rank change, every adapted module gets its best approximation of rank `rank`;
    the record says how much of its energy that keeps.

    Args:
        tuned: Adapter or full checkpoint.
        base: The aligned checkpoint it was trained from.
        unaligned: The checkpoint before alignment.
        out: Folder of the result, of the same kind as `tuned`.
        gamma: Multiple of the safety vector.
        drop: Share of the task update dropped by DARE (full checkpoints only).
        rank: Rank of the safety vector in an adapter.
        seed: Seed of DARE.

    Raises:
        InputError: The checkpoints do not match, or DARE is asked for on an adapter.
    """
    finite(gamma=gamma)
    at_least_one(rank=rank)
    if not 0 <= drop < 1:
        raise InputError(f"drop must be in [0, 1), not {drop}")
    start, before = open_checkpoint(base), open_checkpoint(unaligned)
    check_match(start, before)
    measured: dict[str, float] = {}
    if is_adapter(tuned):
        if drop:
            raise InputError(
                "DARE makes an adapter's update full-rank", path=tuned, fix="holdfast repair merge it first"
            )
        lora, updates = open_linear(tuned, start)
        for name, update in updates.items():
            weight = f"{name}.weight"
            vector, kept = low_rank(start.get(weight).float() - before.get(weight).float(), rank)
            updates[name] = concatenate([update, Factors(gamma * vector.b, vector.a)])
            measured[name] = kept
        write_adapter(lora, updates, out)
        counts = {"changed": len(updates), "kept": 0}
    else:
        source = open_checkpoint(tuned)
        check_match(source, start)

        def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
            if not tensor.is_floating_point():
                return tensor
            origin = start.get(name).float()
            task = tensor.float() - origin
            task = dare(task, drop, seeded(seed, name)) if drop else task
            return origin + task + gamma * (origin - before.get(name).float())

        counts = rewrite_checkpoint(source, out, change)
    record = RepairRecord(
        method="resta",
        parameters={
            "gamma": gamma,
            "drop": drop,
            "rank": rank if is_adapter(tuned) else None,
            "seed": seed,
            "base": str(base),
            "unaligned": str(unaligned),
        },
        source=str(tuned),
        source_digest=digest(tuned),
        output=str(out),
        tensors=counts,
        notes=[f"{gamma:g} times the alignment update was added (RESTA)."],
        measured={"energy_kept": measured} if measured else {},
    )
    record.save()
    return record


def lox(base: Path, unaligned: Path, out: Path, *, c: float = 1.0, rank: int = 6) -> RepairRecord:
    """Strengthen the base before fine-tuning: `W + c * TopK_SVD(W - W_unaligned)`.

    Args:
        base: The aligned checkpoint.
        unaligned: The checkpoint before alignment.
        out: Folder of the strengthened checkpoint.
        c: Multiple of the low-rank alignment update.
        rank: Its rank.

    Raises:
        InputError: The checkpoints do not match.
    """
    finite(c=c)
    at_least_one(rank=rank)
    source, before = open_checkpoint(base), open_checkpoint(unaligned)
    check_match(source, before)
    check_layers(source)
    kept: dict[str, float] = {}

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if not is_linear(name, tensor):
            return tensor
        vector, kept[name] = low_rank(tensor.float() - before.get(name).float(), rank)
        return tensor.float() + c * (vector.b @ vector.a)

    record = RepairRecord(
        method="lox",
        parameters={"c": c, "rank": rank, "unaligned": str(unaligned)},
        source=str(base),
        source_digest=digest(base),
        output=str(out),
        tensors=rewrite_checkpoint(source, out, change),
        notes=[f"The rank-{rank} alignment update was extrapolated by {c:g} before fine-tuning (LoX)."],
        measured={"energy_kept": kept},
    )
    record.save()
    return record
