"""SafeLoRA and SafeMERGE: treat only the modules whose update points away from alignment.

Per module with update U (`s B A`, or `W_tuned - W_base`): where `cos(C U, U)` is small, SafeLoRA
replaces U by `C U` (Hsu et al., NeurIPS 2024), SafeMERGE by `w U + (1 - w) U_safe`, U_safe being the
update of a model trained on safety data (Djuhera et al. 2025).
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
    is_turned,
    open_checkpoint,
    rewrite_checkpoint,
)
from holdfast.repair.lowrank import Factors, concatenate, open_linear, write_adapter
from holdfast.repair.record import RepairRecord
from holdfast.repair.settings import at_least_one, finite
from holdfast.repair.stream import tensors
from holdfast.repair.subspace import Alignment, Form, agreement, choose

if TYPE_CHECKING:
    import torch

    from holdfast.train.weights import WeightReader


def safelora(
    tuned: Path,
    base: Path,
    unaligned: Path,
    out: Path,
    *,
    threshold: float | None = 0.5,
    lowest: int | None = None,
    form: Form = "published",
    rank: int = 64,
) -> RepairRecord:
    """Project the updates that point away from alignment.

    Args:
        tuned: Adapter or full checkpoint.
        base: The aligned checkpoint it was trained from.
        unaligned: The checkpoint before alignment.
        out: Folder of the result, of the same kind as `tuned`.
        threshold: Treat modules whose cosine is at most this; None with `lowest`.
        lowest: Treat the n modules with the smallest cosines.
        form: `published` (`V V^T / |V|`, rescales) or `exact` (a projector).
        rank: Directions kept by the exact form.

    Raises:
        InputError: The checkpoints do not match each other.
    """
    _check(form, rank, lowest, threshold)
    start = open_checkpoint(base)
    turned = not is_adapter(tuned) and is_turned(start)
    alignment = Alignment(start, open_checkpoint(unaligned), form, rank, turned)
    if is_adapter(tuned):
        lora, updates = open_linear(tuned, start)
        cosines = _adapter_cosines(updates, alignment)
        chosen = choose(cosines, threshold, lowest)
        for name in chosen:
            update = updates[name]
            updates[name] = Factors(alignment.operator(f"{name}.weight")(update.b), update.a)
        write_adapter(lora, updates, out)
        counts = _adapter_counts(updates, chosen)
    else:
        source = open_checkpoint(tuned)
        check_match(source, start)
        check_layers(source)
        cosines = _checkpoint_cosines(source, start, alignment, turned)
        chosen = choose(cosines, threshold, lowest)
        picked = set(chosen)

        def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
            if name not in picked:
                return tensor
            origin = start.get(name).float()
            update = tensor.float() - origin
            operator = alignment.operator(name)
            return origin + (operator(update.T).T if turned else operator(update))

        counts = rewrite_checkpoint(source, out, change)
    settings = {"threshold": threshold, "lowest": lowest, "form": form, "rank": rank}
    record = RepairRecord(
        method="safelora",
        parameters=settings | {"base": str(base), "unaligned": str(unaligned)},
        source=str(tuned),
        source_digest=digest(tuned),
        output=str(out),
        tensors=counts,
        notes=[f"The updates of {len(chosen)} of {len(cosines)} modules were projected (SafeLoRA, {form})."],
        measured={"cosines": cosines, "modules": chosen},
    )
    record.save()
    return record


def safemerge(
    tuned: Path,
    safe: Path,
    base: Path,
    unaligned: Path,
    out: Path,
    *,
    threshold: float | None = 0.35,
    lowest: int | None = None,
    weight: float = 0.8,
    form: Form = "published",
    rank: int = 64,
) -> RepairRecord:
    """Merge a safety adapter into the modules that point away from alignment.

    Args:
        tuned: Adapter to repair.
        safe: Adapter of the same base, trained on safety data.
        base: The aligned checkpoint.
        unaligned: The checkpoint before alignment.
        out: Folder of the resulting adapter; its rank is the sum of the two.
        threshold: Treat modules whose cosine is at most this; None with `lowest`.
        lowest: Treat the n modules with the smallest cosines.
        weight: Share of the tuned update in a merged module.
        form: As for `safelora`.
        rank: As for `safelora`.

    Raises:
        InputError: Not adapters of one base.
    """
    _check(form, rank, lowest, threshold)
    finite(weight=weight)
    start = open_checkpoint(base)
    alignment = Alignment(start, open_checkpoint(unaligned), form, rank)
    (lora, updates), (_, remedy) = open_linear(tuned, start), open_linear(safe, start)
    cosines = _adapter_cosines(updates, alignment)
    chosen = [name for name in choose(cosines, threshold, lowest) if name in remedy]
    for name in chosen:
        ours, theirs = updates[name], remedy[name]
        parts = [Factors(weight * ours.b, ours.a), Factors((1 - weight) * theirs.b, theirs.a)]
        updates[name] = concatenate(parts)
    write_adapter(lora, updates, out)
    settings = {"threshold": threshold, "lowest": lowest, "weight": weight, "form": form, "rank": rank}
    record = RepairRecord(
        method="safemerge",
        parameters=settings | {"safe": str(safe), "base": str(base), "unaligned": str(unaligned)},
        source=str(tuned),
        source_digest=digest(tuned),
        output=str(out),
        tensors=_adapter_counts(updates, chosen),
        notes=[f"{len(chosen)} of {len(cosines)} modules were merged with a safety adapter (SafeMERGE)."],
        measured={"cosines": cosines, "modules": chosen},
    )
    record.save()
    return record


def _check(form: Form, rank: int, lowest: int | None, threshold: float | None) -> None:
    if form not in ("published", "exact"):
        raise InputError(f"no form '{form}'", fix="published or exact")
    at_least_one(rank=rank, lowest=lowest)
    if threshold is not None:
        finite(threshold=threshold)


def _adapter_cosines(updates: dict[str, Factors], alignment: Alignment) -> dict[str, float]:
    found = {}
    for name, update in updates.items():
        projected = alignment.operator(f"{name}.weight")(update.b)
        found[name] = agreement(update.b @ update.a, projected @ update.a)
    return found


def _checkpoint_cosines(
    source: WeightReader, start: WeightReader, alignment: Alignment, turned: bool
) -> dict[str, float]:
    found = {}
    for shard in source.shards:
        for name, tensor in tensors(shard):
            if is_linear(name, tensor):
                update = tensor.float() - start.get(name).float()
                update = update.T if turned else update
                found[name] = agreement(update, alignment.operator(name)(update))
    return found


def _adapter_counts(updates: dict[str, Factors], chosen: list[str]) -> dict[str, int]:
    return {"changed": len(chosen), "kept": len(updates) - len(chosen)}
