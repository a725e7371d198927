"""Answers that never came and verdicts that nobody gave: how many, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from holdfast.audit.units import Record

_MOST = 3


def failures(records: Sequence[Record]) -> dict[str, Any]:
    """By arm: how many answers have no outcome because a model or a judge failed, and the commonest reasons.

    Returns:
        `{"tuned": {"count": 12, "reasons": {"HTTP 500: overloaded": 12}}}`; arms without a
        failure are left out.
    """
    found: dict[str, Counter[str]] = {}
    for record in records:
        reason = _reason(record)
        if reason:
            found.setdefault(record.arm, Counter())[reason] += 1
    return {
        arm: {"count": reasons.total(), "reasons": dict(reasons.most_common(_MOST))}
        for arm, reasons in sorted(found.items())
    }


def lines(found: dict[str, Any]) -> list[str]:
    """For people, one line per arm."""
    return [
        f"{arm} model: {entry['count']} answers or verdicts are missing ("
        + "; ".join(f"{count} x {reason}" for reason, count in entry["reasons"].items())
        + "): the same command asks for them again"
        for arm, entry in found.items()
    ]


def _reason(record: Record) -> str:
    if record.finish == "error":
        return record.error or "no reason given"
    unscored = (j["reason"] for j in record.judgements.values() if j["outcome"] == "unscored")
    return str(next(unscored, ""))
