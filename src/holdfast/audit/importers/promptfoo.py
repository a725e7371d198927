"""promptfoo output (`promptfoo eval --output results.json`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from holdfast.audit.importers.common import Imported, Turns, check_axis, parse, turns
from holdfast.errors import InputError


def read(path: Path, axis: str) -> Iterator[Imported]:
    """Yield every result; bad is a failed assertion, an error is an unscored answer.

    Raises:
        InputError: The file is no such output, or compares several providers in one file.
    """
    axis = check_axis(axis, "harm")
    if not path.is_file():
        raise InputError("no such file", path=path)
    results = parse(path.read_bytes(), path).get("results")
    rows = results.get("results") if isinstance(results, dict) else results
    if not isinstance(rows, list):
        raise InputError("is not a promptfoo output", path=path, fix="promptfoo eval --output results.json")
    providers = {_provider(row) for row in rows}
    if len(providers) > 1:
        names = ", ".join(sorted(providers))
        raise InputError(f"holds several providers ({names})", path=path, fix="run one provider per file")
    for number, row in enumerate(rows):
        response = row.get("response") or {}
        output = response.get("output")
        failed = response.get("error") or (row.get("error") if output is None else None)
        metadata = (row.get("testCase") or {}).get("metadata") or row.get("metadata") or {}
        yield Imported(
            id=str(row.get("testIdx", number)),
            turns=_turns(row),
            response=output if isinstance(output, str) else orjson.dumps(output).decode() if output else "",
            axis=axis,
            bad=None if failed else not row.get("success", False),
            hazard=str(metadata.get("pluginId") or metadata.get("category") or ""),
            error=str(failed) if failed else None,
        )


def _provider(row: dict[str, Any]) -> str:
    provider = row.get("provider")
    return str(provider.get("id")) if isinstance(provider, dict) else str(provider)


def _turns(row: dict[str, Any]) -> Turns:
    """The rendered prompt: text, or a chat as JSON text."""
    raw = str((row.get("prompt") or {}).get("raw", ""))
    if raw.lstrip().startswith("["):
        try:
            return turns(orjson.loads(raw))
        except orjson.JSONDecodeError:
            pass
    return turns(raw)
