"""garak `*.report.jsonl`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.audit.importers.common import Imported, Turns, check_axis, objects, text, turns
from holdfast.errors import InputError

_COMPLETE = 2
_HIT = 0.5


def read(path: Path, axis: str) -> Iterator[Imported]:
    """Yield every output of every completed attempt; bad where any detector reaches 0.5.

    The probe's name is the hazard.

    Raises:
        InputError: The file is no garak report.
    """
    axis = check_axis(axis, "harm")
    known = False
    for line, row in objects(path):
        if "entry_type" not in row:
            raise InputError("is not a garak report", path=path, line=line, fix="give *.report.jsonl")
        known = True
        if row["entry_type"] == "attempt" and row.get("status") == _COMPLETE:
            yield from _attempt(row, axis)
    if not known:
        raise InputError("is not a garak report", path=path, fix="give *.report.jsonl")


def _attempt(row: dict[str, Any], axis: str) -> Iterator[Imported]:
    results: dict[str, list[float | None]] = row.get("detector_results") or {}
    for number, output in enumerate(row.get("outputs") or []):
        scores = [values[number] for values in results.values() if number < len(values)]
        scored = [score for score in scores if score is not None]
        yield Imported(
            id=str(row.get("uuid", "")),
            turns=_turns(row.get("prompt")),
            response=text(output),
            axis=axis,
            bad=max(scored) >= _HIT if scored else None,
            hazard=str(row.get("probe_classname", "")),
            error="garak recorded no output" if output is None else None,
        )


def _turns(prompt: Any) -> Turns:
    """A text, a message with `text`, or a conversation with `turns`."""
    if isinstance(prompt, dict):
        prompt = prompt["turns"] if "turns" in prompt else text(prompt)
    return turns(prompt)
