"""Repairs by gradient: restore the parameters that harm safety most, or train a small patch.

Restoring follows "Alleviating the fear of losing alignment" (IEEE S&P 2025): with g the gradient of
the loss on safety rows, putting parameter i back to its base value changes that loss by about
`g_i (base_i - tuned_i)`; in every step the share of parameters with the largest fall is put back.
The patch trains on safety rows for a few epochs, all trained parameters or those of some layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import InputError
from holdfast.models.base import Progress
from holdfast.models.folder import is_adapter
from holdfast.repair.checkpoints import check_match, digest, open_checkpoint
from holdfast.repair.loaded import answer_loss, batches, load_tuned, safety_rows, save_tuned
from holdfast.repair.record import RepairRecord
from holdfast.repair.settings import at_least_one, finite

if TYPE_CHECKING:
    import torch


def restore(
    tuned: Path,
    base: Path,
    safety: Path,
    out: Path,
    *,
    share: float = 0.002,
    steps: int = 20,
    batch_size: int = 16,
    rows: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> RepairRecord:
    """Put back, step by step, the parameters whose restoring helps safety most.

    Of an adapter the entries of `lora_B` are restored (to 0, where fine-tuning began); of a full
    checkpoint every trained entry, to the base's value.

    Args:
        tuned: Adapter or full checkpoint.
        base: The aligned checkpoint it was trained from.
        safety: Safety rows with the base's answers (`safety.jsonl`).
        out: Folder of the result, of the same kind as `tuned`.
        share: Share of the parameters restored per step.
        steps: Number of steps.
        batch_size: Safety rows per forward pass.
        rows: At most so many safety rows.
        seed: Seed of their order.
        progress: Called with the number of steps finished.

    Raises:
        InputError: The safety rows or the models cannot be used.
    """
    if not 0 < share <= 1 or steps < 1:
        raise InputError("share must be in (0, 1] and steps at least 1")
    found = safety_rows(safety, base, rows)
    model = load_tuned(tuned, base)
    origin = _origins(model, tuned, base)
    before = restored = 0
    losses = []
    for step in range(steps):
        losses.append(_accumulate(model, found, batch_size, seed))
        restored = _restore_step(model, origin, share)
        if progress:
            progress(1)
        if restored == before and step:
            break
        before = restored
    losses.append(_accumulate(model, found, batch_size, seed))
    save_tuned(model, tuned, out)
    total = sum(value.numel() for value in origin.values())
    return _record(
        "restore",
        tuned,
        base,
        out,
        {"share": share, "steps": steps, "rows": len(found), "seed": seed, "safety": str(safety)},
        f"{restored:,} of {total:,} trained parameters were put back to their base values.",
        {"loss": losses, "restored": restored, "parameters": total},
        len(origin),
    )


def restoring_gain(gradient: torch.Tensor, tuned: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
    """First-order fall of the loss when an entry is put back: `-g (base - tuned)`."""
    return -gradient * (origin - tuned)


def patch(
    tuned: Path,
    base: Path,
    safety: Path,
    out: Path,
    *,
    epochs: int = 3,
    learning_rate: float = 1e-4,
    layers: tuple[int, ...] = (),
    batch_size: int = 8,
    rows: int = 100,
    seed: int = 0,
    progress: Progress | None = None,
) -> RepairRecord:
    """Train a few epochs on safety rows; audit on other prompts, for a patch overfits easily.

    Args:
        tuned: Adapter or full checkpoint.
        base: The aligned checkpoint it was trained from.
        safety: Safety rows with the base's answers (`safety.jsonl`).
        out: Folder of the result, of the same kind as `tuned`.
        epochs: Passes over the rows.
        learning_rate: Of AdamW, constant.
        layers: Only these transformer layers are trained; empty = all.
        batch_size: Rows per step.
        rows: At most so many safety rows.
        seed: Seed of their order.
        progress: Called with the number of steps finished.

    Raises:
        InputError: The safety rows, layers or models cannot be used.
    """
    import torch

    from holdfast.train.guards.freeze import layer_of

    at_least_one(epochs=epochs, batch_size=batch_size, rows=rows)
    finite(learning_rate=learning_rate)
    found = safety_rows(safety, base, rows)
    model = load_tuned(tuned, base)
    for name, parameter in model.named_parameters():
        if layers and layer_of(name) not in layers:
            parameter.requires_grad_(False)
    chosen = [p for p in model.parameters() if p.requires_grad]
    if not chosen:
        raise InputError(f"no trained parameter lies in layers {', '.join(map(str, layers))}", path=tuned)
    optimiser = torch.optim.AdamW(chosen, lr=learning_rate, weight_decay=0.0)
    model.train()
    losses = []
    for epoch in range(epochs):
        total, count = 0.0, 0
        for batch in batches(found, batch_size, seed + epoch):
            loss = answer_loss(model, batch)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(chosen, 1.0)
            optimiser.step()
            total, count = total + float(loss.detach()), count + 1
            if progress:
                progress(1)
        losses.append(total / count)
    model.eval()
    save_tuned(model, tuned, out)
    settings: dict[str, Any] = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "layers": list(layers),
        "rows": len(found),
        "seed": seed,
        "safety": str(safety),
    }
    note = f"{epochs} epochs on {len(found)} safety rows were trained on top (patch)."
    return _record("patch", tuned, base, out, settings, note, {"loss": losses}, len(chosen))


def _origins(model: Any, tuned: Path, base: Path) -> dict[str, torch.Tensor]:
    """Base value of every parameter that may be restored."""
    import torch

    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if is_adapter(tuned):
        return {name: torch.zeros_like(p) for name, p in named.items() if ".lora_B." in name}
    source = open_checkpoint(base)
    check_match(open_checkpoint(tuned), source)
    return {name: source.get(name).to(p.device, p.dtype) for name, p in named.items() if name in source}


def _accumulate(model: Any, rows: list[Any], batch_size: int, seed: int) -> float:
    """Leave the gradient of the mean safety loss in the parameters; give the loss."""
    model.zero_grad()
    groups = list(batches(rows, batch_size, seed))
    total = 0.0
    for group in groups:
        loss = answer_loss(model, group) / len(groups)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def _restore_step(model: Any, origin: dict[str, torch.Tensor], share: float) -> int:
    """Restore the best entries; give the number of entries now at their base value."""
    import torch

    named = {name: p for name, p in model.named_parameters() if name in origin}
    gains = torch.cat(
        [restoring_gain(p.grad, p.detach(), origin[name]).flatten() for name, p in named.items()]
    )
    count = max(1, round(share * gains.numel()))
    threshold = torch.topk(gains, count).values[-1].clamp(min=0)
    back = 0
    with torch.no_grad():
        for name, parameter in named.items():
            gain = restoring_gain(parameter.grad, parameter, origin[name])
            chosen = (gain >= threshold) & (gain > 0)
            parameter.copy_(torch.where(chosen, origin[name], parameter))
            back += int((parameter == origin[name]).sum())
    return back


def _record(
    method: str,
    tuned: Path,
    base: Path,
    out: Path,
    settings: dict[str, Any],
    note: str,
    measured: dict[str, Any],
    changed: int,
) -> RepairRecord:
    record = RepairRecord(
        method=method,
        parameters=settings | {"base": str(base)},
        source=str(tuned),
        source_digest=digest(tuned),
        output=str(out),
        tensors={"changed": changed, "kept": 0},
        notes=[note],
        measured=measured,
    )
    record.save()
    return record
