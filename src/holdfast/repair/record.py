"""The repair record: what was done to which weights, for the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from holdfast.files import read_json, write_json

FILE = "holdfast_repair.json"


class RepairRecord(BaseModel):
    """The record of one repair, written beside the weights as `holdfast_repair.json`.

    Attributes:
        method: Name of the repair.
        parameters: Its settings.
        source: Folder that was repaired; `source_digest` binds its weights.
        output: Folder of the result, an ordinary adapter or checkpoint.
        tensors: Tensors changed and tensors copied as they were.
        notes: What a reader of the model card must know.
        measured: Numbers of the repair itself (norms, cosines, modules chosen).
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = 1
    method: str
    parameters: dict[str, Any]
    source: str
    source_digest: str
    output: str
    tensors: dict[str, int]
    notes: list[str] = []
    measured: dict[str, Any] = {}

    def save(self) -> None:
        """Write the record into its output folder."""
        write_json(Path(self.output) / FILE, self.model_dump())

    @classmethod
    def load(cls, folder: Path) -> RepairRecord:
        """Read the record of a repaired folder."""
        return cls.model_validate(read_json(folder / FILE))
