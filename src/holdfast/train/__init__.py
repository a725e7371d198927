"""Train: guarded supervised fine-tuning with a safety probe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.rooms import callable_room
from holdfast.train.config import Probe, TrainConfig
from holdfast.train.guard_config import (
    EMA,
    AsFT,
    Constrained,
    Freeze,
    KLAnchor,
    Lisa,
    SafeGrad,
    TokenWeights,
)
from holdfast.train.record import TrainRecord

if TYPE_CHECKING:
    from holdfast.models.base import Progress

__all__ = [
    "EMA",
    "AsFT",
    "Constrained",
    "Freeze",
    "KLAnchor",
    "Lisa",
    "Probe",
    "SafeGrad",
    "TokenWeights",
    "TrainConfig",
    "TrainRecord",
    "train",
]


def train(
    data: Path,
    *,
    base: str | Path,
    out: Path,
    config: TrainConfig | None = None,
    safety: Path | None = None,
    progress: Progress | None = None,
) -> TrainRecord:
    """Fine-tune `base` on the conversations of `data`, with the configured guards.

    The loss is on assistant turns only. A killed run continues from its last complete
    checkpoint with the same random state; a finished one is returned as it is.

    Args:
        data: JSONL with `messages`, as `holdfast mix` writes it.
        base: Model folder or hub name, with a chat template.
        out: Run folder; gets `adapter/` (or `model/` for full fine-tuning) and `train.json`.
        config: Settings; default `TrainConfig()`.
        safety: Safety rows for the guards, same format as `data`.
        progress: Called with the number of optimiser steps finished.

    Returns:
        The training record; `record.output` is the folder to load.

    Raises:
        InputError: Data, model or settings cannot be used.
        RunError: The loss is not finite, memory or disk ran out.
    """
    from holdfast.errors import missing_extra

    try:
        from holdfast.train.run import train as run
    except ModuleNotFoundError as error:
        raise missing_extra("train", error.name or "torch") from None
    return run(data, base=base, out=out, config=config, safety=safety, progress=progress)


callable_room(__name__, "train")
