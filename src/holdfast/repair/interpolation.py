"""Interpolation and merging of full checkpoints, tensor by tensor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InputError
from holdfast.repair.adapters import open_adapter
from holdfast.repair.checkpoints import check_match, digest, open_checkpoint, rewrite_checkpoint
from holdfast.repair.lowrank import check_fits, read_factors
from holdfast.repair.record import RepairRecord

if TYPE_CHECKING:
    import torch


def interpolate(tuned: Path, base: Path, alpha: float, out: Path) -> RepairRecord:
    """`theta(alpha) = base + alpha * (tuned - base)` of two full checkpoints (WiSE-FT).

    Raises:
        InputError: The checkpoints do not match, or `alpha` is not a finite number >= 0.
    """
    if not math.isfinite(alpha) or alpha < 0:
        raise InputError(f"alpha must be a number >= 0, not {alpha}", fix="0 = the base, 1 = the tuned model")
    source, start = open_checkpoint(tuned), open_checkpoint(base)
    check_match(source, start)

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point():
            return tensor
        origin = start.get(name).float()
        return origin + alpha * (tensor.float() - origin)

    record = RepairRecord(
        method="interpolate",
        parameters={"alpha": alpha, "base": str(base)},
        source=str(tuned),
        source_digest=digest(tuned),
        output=str(out),
        tensors=rewrite_checkpoint(source, out, change),
        notes=[f"The weights are the base's plus {alpha:g} of the fine-tuning update."],
    )
    record.save()
    return record


def merge(adapter: Path, base: Path, out: Path) -> RepairRecord:
    """Work an adapter into its base: a full checkpoint with `W + s B A`.

    Raises:
        InputError: The adapter does not fit this base.
    """
    source, lora = open_checkpoint(base), open_adapter(adapter)
    updates = read_factors(lora)
    check_fits(updates, source, lora)

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        update = updates.get(name.removesuffix(".weight")) if name.endswith(".weight") else None
        if update is None:
            return tensor
        delta = update.b @ update.a
        return tensor.float() + (delta.T if lora.config.get("fan_in_fan_out") else delta)

    record = RepairRecord(
        method="merge",
        parameters={"base": str(base)},
        source=str(adapter),
        source_digest=digest(adapter),
        output=str(out),
        tensors=rewrite_checkpoint(source, out, change),
        notes=["The adapter was merged into its base."],
    )
    record.save()
    return record
