"""LoRA updates as pairs of factors: read, combine by concatenation, write as an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import InputError, RunError
from holdfast.files import atomic_writer, write_json
from holdfast.repair.adapters import (
    CONFIG,
    WEIGHTS,
    Adapter,
    copy_beside,
    module_name,
    open_adapter,
    side,
)
from holdfast.repair.record import FILE
from holdfast.repair.stream import shapes, tensors
from holdfast.train.weights import WeightReader

if TYPE_CHECKING:
    import torch


class Factors(NamedTuple):
    """An update `b @ a`, its scaling worked into `b`.

    Attributes:
        b: Shape (out, rank).
        a: Shape (rank, in).
    """

    b: torch.Tensor
    a: torch.Tensor


def read_factors(adapter: Adapter) -> dict[str, Factors]:
    """The update of every adapted module, by its name in the base.

    Raises:
        InputError: A module has only one of its two factors, or is an embedding.
    """
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors(adapter.weights):
        halves.setdefault(module_name(name), {})[side(name)] = tensor.float()
    found = {}
    for module, pair in halves.items():
        if set(pair) != {"A", "B"} or pair["A"].ndim != 2:
            raise InputError(f"module '{module}' is not a linear LoRA layer", path=adapter.weights)
        found[module] = Factors(pair["B"] * adapter.scaling(module), pair["A"])
    return found


def check_fits(updates: dict[str, Factors], base: WeightReader, adapter: Adapter) -> None:
    """Refuse an adapter that was not made for this base.

    Raises:
        InputError: A module is missing in the base or has another shape.
    """
    known = {name: shape for shard in base.shards for name, shape in shapes(shard).items()}
    turned = bool(adapter.config.get("fan_in_fan_out"))
    for module, update in updates.items():
        shape = (update.b.shape[0], update.a.shape[1])
        found = known.get(f"{module}.weight")
        if found is None:
            reason = f"it has no module '{module}'"
        elif found != (shape[::-1] if turned else shape):
            reason = f"'{module}' is {found} there and {shape} in the adapter"
        else:
            continue
        raise InputError(
            f"the adapter does not fit this base: {reason}",
            path=adapter.folder,
            fix="give the base that the adapter was made for",
        )


def open_linear(folder: Path, base: WeightReader) -> tuple[Adapter, dict[str, Factors]]:
    """An adapter of ordinary linear layers and its updates, checked against the base.

    Raises:
        InputError: It does not fit, or its layers hold their weights transposed.
    """
    adapter = open_adapter(folder)
    if adapter.config.get("fan_in_fan_out"):
        raise InputError(
            "this repair does not handle transposed layers (fan_in_fan_out)",
            path=folder,
            fix="holdfast repair merge it, then repair the checkpoint",
        )
    updates = read_factors(adapter)
    check_fits(updates, base, adapter)
    return adapter, updates


def concatenate(parts: list[Factors]) -> Factors:
    """The sum of several updates as one, of the summed rank (exact)."""
    import torch

    return Factors(torch.cat([p.b for p in parts], 1), torch.cat([p.a for p in parts], 0))


def low_rank(matrix: torch.Tensor, rank: int) -> tuple[Factors, float]:
    """The best approximation of `matrix` of that rank, and the share of its energy kept."""
    import torch

    u, s, v = torch.linalg.svd(matrix.float(), full_matrices=False)
    energy = s.square()
    kept = float(energy[:rank].sum() / energy.sum().clamp(min=1e-30))
    return Factors(u[:, :rank] * s[:rank], v[:rank]), kept


def write_adapter(source: Adapter, updates: dict[str, Factors], out: Path) -> None:
    """Write updates as an adapter of one rank (smaller ones are padded with zeros).

    The scaling is 1 and everything else in the configuration stays as in `source`.

    Raises:
        RunError: An update holds NaN or infinity.
    """
    import torch
    from safetensors.torch import save

    for module, update in updates.items():
        if not (torch.isfinite(update.a).all() and torch.isfinite(update.b).all()):
            raise RunError(f"the repair gave a value that is not finite in {module}", path=source.folder)
    copy_beside(source.folder, out, skip=(WEIGHTS, CONFIG, FILE))
    rank = max(update.a.shape[0] for update in updates.values())
    content = {}
    for module, update in updates.items():
        pad = rank - update.a.shape[0]
        prefix = f"base_model.model.{module}"
        content[f"{prefix}.lora_A.weight"] = torch.nn.functional.pad(update.a, (0, 0, 0, pad)).contiguous()
        content[f"{prefix}.lora_B.weight"] = torch.nn.functional.pad(update.b, (0, pad)).contiguous()
    with atomic_writer(out / WEIGHTS) as handle:
        handle.write(save(content, metadata={"format": "pt"}))
    plain = {"r": rank, "lora_alpha": rank, "rank_pattern": {}, "alpha_pattern": {}, "use_rslora": False}
    write_json(out / CONFIG, source.config | plain)
