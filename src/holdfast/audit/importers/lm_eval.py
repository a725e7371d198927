"""lm-evaluation-harness `samples_*.jsonl` (written with --log_samples)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.audit.importers.common import Imported, check_axis, objects, turns
from holdfast.errors import InputError

_METRICS = ("acc", "exact_match", "em", "acc_norm", "pass@1")


def read(path: Path, axis: str) -> Iterator[Imported]:
    """Yield one answer per document, by the first filter; bad is a 0 of its accuracy metric.

    Raises:
        InputError: The file is no such log, or its task has no accuracy to compare.
    """
    axis = check_axis(axis, "capability")
    seen: set[Any] = set()
    for line, row in objects(path):
        if "doc_id" not in row or "arguments" not in row:
            fix = "give samples_*.jsonl, written with --log_samples"
            raise InputError("is not a sample of lm-eval", path=path, line=line, fix=fix)
        if row["doc_id"] in seen:
            continue  # the same document through another filter
        seen.add(row["doc_id"])
        metric = next((name for name in _METRICS if name in row), None)
        if metric is None:
            known = ", ".join(_METRICS)
            raise InputError(f"no metric among {known}", path=path, line=line, fix="only accuracies pair up")
        yield Imported(
            id=str(row["doc_id"]),
            turns=turns(_prompt(row["arguments"])),
            response=_response(row),
            axis=axis,
            bad=float(row[metric]) < 1,
        )


def _prompt(arguments: Any) -> str:
    """The context of the first request: `[[context, ...], ...]` or `{gen_args_0: {arg_0: ...}}`."""
    first = next(iter(arguments.values())) if isinstance(arguments, dict) else arguments[0]
    return str(first.get("arg_0", "") if isinstance(first, dict) else first[0])


def _response(row: dict[str, Any]) -> str:
    """The filtered text, or, for a choice by likelihood, the number of the likeliest option."""
    found = row.get("filtered_resps") or row.get("resps") or [""]
    if len(found) > 1 and all(isinstance(option, list) for option in found):
        scores = [float(option[0]) for option in found]
        return f"option {scores.index(max(scores))}"
    first = found[0]
    while isinstance(first, list) and first:
        first = first[0]
    return str(first)
