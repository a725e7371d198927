"""The repair record: what was done to which weights, for the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from holdfast.files import read_json, write_json, write_text

FILE = "holdfast_repair.json"
README = "README.md"
_BEGIN, _END = "<!-- holdfast: repair -->", "<!-- end of repair -->"


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
        """Write the record into its output folder, and its notes into the README there."""
        write_json(Path(self.output) / FILE, self.model_dump())
        source = Path(self.source) / README
        text = source.read_text(encoding="utf-8") if source.is_file() else ""
        notes = "".join(f"- {note}\n" for note in self.notes)
        if _END in text:
            text = text.replace(_END, notes + _END, 1)
        else:
            text = f"{text.rstrip()}\n\n{_BEGIN}\n## Repair\n\n{notes}{_END}\n".lstrip()
        write_text(Path(self.output) / README, text)

    @classmethod
    def load(cls, folder: Path) -> RepairRecord:
        """Read the record of a repaired folder."""
        return cls.model_validate(read_json(folder / FILE))
