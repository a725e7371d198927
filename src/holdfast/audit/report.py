"""The report of an audit: typed rows, and `audit.json` as its written form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from holdfast.audit.rows import Row, Verdict
from holdfast.errors import InputError
from holdfast.files import read_json, write_json

SCHEMA = 1
FILE = "audit.json"


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        folder: Where the evidence lies.
        verdict: pass, fail or inconclusive.
        axes: Rows per axis and probe; these gate.
        hazards: Rows per hazard.
        digests: Policy, suites and both models.
        power: What the audit could certify, per axis.
        comparison: What must be equal for two audits to be comparable, and its digest.
        judges: Name, family and version of every judge.
        extra: Noise floor, agreement of the judges, early stop, labels, decoding, policy.
    """

    folder: Path
    verdict: Verdict
    axes: Sequence[Row]
    hazards: Sequence[Row]
    digests: Mapping[str, Any]
    power: Mapping[str, Any]
    comparison: Mapping[str, Any]
    judges: Sequence[Mapping[str, str]]
    extra: Mapping[str, Any]

    def axis(self, name: str) -> Row | None:
        """The row of that name, or None."""
        return next((row for row in self.axes if row.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """As written to `audit.json`."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "axes": [asdict(row) for row in self.axes],
            "hazards": [asdict(row) for row in self.hazards],
            "digests": dict(self.digests),
            "power": dict(self.power),
            "comparison": dict(self.comparison),
            "judges": [dict(judge) for judge in self.judges],
            **self.extra,
        }

    def write(self) -> Path:
        """Write `audit.json` atomically and return its path."""
        path = self.folder / FILE
        write_json(path, self.to_dict())
        return path


def load_report(path: str | Path) -> AuditReport:
    """Read `audit.json` (or the folder that holds it).

    Raises:
        InputError: There is none, or it was written by a newer version.
    """
    file = Path(path)
    if file.is_dir():
        file = file / FILE
    data = read_json(file)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError("is not an audit report of this version", path=file, fix="run the audit again")
    known = {"schema", "verdict", "axes", "hazards", "digests", "power", "comparison", "judges"}
    try:
        return AuditReport(
            folder=file.parent,
            verdict=data["verdict"],
            axes=[_row(row) for row in data["axes"]],
            hazards=[_row(row) for row in data["hazards"]],
            digests=data["digests"],
            power=data["power"],
            comparison=data["comparison"],
            judges=data["judges"],
            extra={key: value for key, value in data.items() if key not in known},
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"audit report lacks {error}", path=file, fix="run the audit again") from None


def _row(data: Mapping[str, Any]) -> Row:
    names = {field.name for field in fields(Row)}
    values = {key: value for key, value in data.items() if key in names}
    values["reasons"] = tuple(data.get("reasons", ()))
    values["tuned_interval"] = tuple(data["tuned_interval"])
    return Row(**values)
