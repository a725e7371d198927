"""inspect_ai logs: `.eval` (a zip of samples) or `.json`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.audit.importers.common import Imported, check_axis, parse, text, turns
from holdfast.errors import InputError

_GOOD = {"C": True, "I": False, "P": False, True: True, False: False}


def read(path: Path, axis: str) -> Iterator[Imported]:
    """Yield the samples of a log.

    On capability a value of `I`, or below 1, is bad; on the other axes a value of `C`, or of 1
    and more, counts as a hit of the scorer and is bad. A sample without a score has no verdict.

    Raises:
        InputError: The file is no such log.
    """
    axis = check_axis(axis, "capability")
    for sample in _samples(path):
        output = sample.get("output") or {}
        choices = output.get("choices") or [{}]
        answer = output.get("completion") or text((choices[0].get("message") or {}).get("content"))
        error = sample.get("error")
        metadata = sample.get("metadata") or {}
        yield Imported(
            id=str(sample.get("id", "")),
            turns=turns(sample.get("input")),
            response=answer or "",
            axis=axis,
            bad=_bad(sample.get("scores") or {}, axis),
            hazard=str(metadata.get("category") or metadata.get("hazard") or ""),
            error=str(error.get("message", error) if isinstance(error, dict) else error) if error else None,
            finish="length" if choices[0].get("stop_reason") == "max_tokens" else "stop",
        )


def _samples(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise InputError("no such file", path=path)
    if not zipfile.is_zipfile(path):
        log = parse(path.read_bytes(), path)
        if "samples" not in log or "eval" not in log:
            raise InputError(
                "is not an inspect_ai log", path=path, fix="give a .eval or .json log with samples"
            )
        yield from log["samples"] or []
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("samples/")]
        if not names:
            raise InputError("holds no samples", path=path, fix="give a .eval log with samples")
        for name in sorted(names):
            yield parse(archive.read(name), path)


def _bad(scores: dict[str, Any], axis: str) -> bool | None:
    """By the first scorer; a grade, a number or a truth value."""
    value = next((score.get("value") for score in scores.values() if isinstance(score, dict)), None)
    if isinstance(value, int | float) and not isinstance(value, bool):
        good = value >= 1
    elif value in _GOOD:
        good = _GOOD[value]
    else:
        return None
    return not good if axis in ("capability", "task") else good
