"""What a training run leaves behind: enough to say what was done and to compare runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from holdfast.files import read_json, write_json


class TrainRecord(BaseModel):
    """The record of one training run, `train.json`.

    Attributes:
        output: Folder of the adapter (`method` lora) or of the checkpoint (full).
        base: The base as the user named it.
        key: Digest over base, data, safety rows, configuration and versions.
        rows: Rows trained on; `truncated` and `dropped` hold the lines cut or left out.
        tokens: Trainable tokens of one pass.
        safety_rows: Rows given to the guards.
        steps: Optimiser steps done.
        loss_curve: Points with `step`, `loss`, `learning_rate` and the guards' own numbers.
        probe_log: The probe's measurements.
        stopped: Why training ended early, or None.
        resumed_from: Steps at which the run was taken up again.
        seconds: Training time without loading, over all resumes.
        peak_memory_mb: Peak resident memory of the process; on a GPU, of the device.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = 1
    output: str
    base: str
    key: str
    method: str
    seed: int
    rows: int
    tokens: int
    truncated: list[int] = []
    dropped: list[int] = []
    safety_rows: int = 0
    steps: int
    loss_curve: list[dict[str, float]] = []
    probe_log: list[dict[str, Any]] = []
    stopped: str | None = None
    resumed_from: list[int] = []
    seconds: float
    peak_memory_mb: float
    config: dict[str, Any]
    versions: dict[str, str]

    @property
    def final_loss(self) -> float | None:
        """The last point of the loss curve."""
        return self.loss_curve[-1]["loss"] if self.loss_curve else None

    def save(self, path: Path) -> None:
        """Write the record atomically."""
        write_json(path, self.model_dump())

    @classmethod
    def load(cls, path: Path) -> TrainRecord:
        """Read a record back."""
        return cls.model_validate(read_json(path))
