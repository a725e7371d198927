"""Adapter scaling: `theta(alpha) = base + alpha * (tuned - base)`, as a file operation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InputError
from holdfast.files import digest_file
from holdfast.repair.adapters import WEIGHTS, copy_beside, open_adapter, side
from holdfast.repair.record import FILE, RepairRecord
from holdfast.repair.stream import rewrite

if TYPE_CHECKING:
    import torch


def scale(adapter: Path, alpha: float, out: Path) -> RepairRecord:
    """Scale a LoRA adapter's update by `alpha`; 0 is the base, 1 the adapter itself.

    `W + s B A` becomes `W + alpha s B A` by multiplying every `lora_B`; exact whatever the
    adapter's own scaling (rsLoRA, rank and alpha patterns) since it is linear in B.

    Raises:
        InputError: Not a plain LoRA adapter, or `alpha` is not a finite number >= 0.
        RunError: The output cannot be written.
    """
    if not math.isfinite(alpha) or alpha < 0:
        raise InputError(f"alpha must be a number >= 0, not {alpha}", fix="0 = the base, 1 = the adapter")
    source = open_adapter(adapter)
    copy_beside(source.folder, out, skip=(WEIGHTS, FILE))

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor * alpha if side(name) == "B" else tensor

    changed = rewrite(source.weights, out / WEIGHTS, change)
    record = RepairRecord(
        method="scale",
        parameters={"alpha": alpha},
        source=str(adapter),
        source_digest=digest_file(source.weights),
        output=str(out),
        tensors={"changed": changed, "kept": 2 * len(source.modules) - changed},
        notes=[f"The adapter's update was multiplied by {alpha:g}."],
    )
    record.save()
    return record
