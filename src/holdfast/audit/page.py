"""`audit.html`: the verdict, the pictures, the flips side by side; one file, offline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.audit.evidence import Answer, Asked, read_answers, read_asked
from holdfast.audit.failures import lines
from holdfast.audit.report import AuditReport
from holdfast.audit.rows import Row
from holdfast.audit.units import Key, Record, UnitName
from holdfast.files import write_text
from holdfast.html import render

FILE = "audit.html"
MOST_FLIPS = 300
_SHOWN = 4000


def write_page(report: AuditReport, records: Sequence[Record]) -> Path:
    """Write `audit.html` beside `audit.json` and return its path."""
    found = list(flips(records))
    answers = {answer.key: answer for answer in read_answers(report.folder)}
    asked = {line.name: line for line in read_asked(report.folder)}
    shown = [_flip(base, tuned, answers, asked) for base, tuned in found[:MOST_FLIPS]]
    gated = [row for row in report.axes if row.verdict != "ungated"]
    values = {
        "report": report,
        "axes": report.axes,
        "against": [*_against(gated), *_against([row for row in report.hazards if row.verdict == "fail"])],
        "kept": [row for row in gated if row.verdict == "pass"],
        "changes": [_change(row) for row in [*gated, *report.hazards] if row.units],
        "rates": [_rate(row) for row in report.hazards if row.units],
        "failures": lines(report.extra["failures"]),
        "flips": shown,
        "hidden_flips": len(found) - len(shown),
        "judges": report.judges,
        "version": __version__,
        "created": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    path = report.folder / FILE
    write_text(path, render("holdfast.audit", "audit.html.j2", values))
    return path


def flips(records: Sequence[Record]) -> Iterator[tuple[Record, Record]]:
    """Pairs of (base, tuned) records whose outcome changed, those that became worse first."""
    base = {record.key[:4]: record for record in records if record.arm == "base"}
    tuned = [record for record in records if record.arm == "tuned" and record.key[:4] in base]
    pairs = [(base[record.key[:4]], record) for record in tuned]
    changed = [pair for pair in pairs if _direction(*pair) != ""]
    yield from sorted(changed, key=lambda pair: _direction(*pair) != "worse")


def _direction(base: Record, tuned: Record) -> str:
    for one, other in ((base.bad, tuned.bad), (base.degenerate, tuned.degenerate)):
        if one is not None and other is not None and one != other:
            return "worse" if other > one else "better"
    return ""


def _against(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Row and reason of everything that is no pass; a number stays on one line with its unit."""
    for row in rows:
        for reason in row.reasons if row.verdict != "pass" else ():
            yield row.name, reason.replace(" -> ", " → ").replace(" %", "\u00a0%")


def _flip(
    base: Record, tuned: Record, answers: Mapping[Key, Answer], asked: Mapping[UnitName, Asked]
) -> dict[str, Any]:
    turns = asked[base.key[:3]].messages if base.key[:3] in asked else []
    return {
        "direction": _direction(base, tuned),
        "row": base.axis if base.probe == "default" else f"{base.axis}@{base.probe}",
        "hazard": base.hazard,
        "prompt_id": base.prompt_id,
        "turns": turns,
        "prefill": base.prefill,
        "arms": [_arm(record, answers.get(record.key)) for record in (base, tuned)],
    }


def _arm(record: Record, answer: Answer | None) -> dict[str, Any]:
    text = answer.text if answer else ""
    first = next(iter(record.judgements.values()), {})
    return {
        "name": record.arm,
        "outcome": record.outcome,
        "reason": first.get("reason", ""),
        "text": text[:_SHOWN],
        "cut": len(text) > _SHOWN,
        "sha": record.answer_sha[:12],
        "veiled": record.outcome == "harmful" or (record.axis == "harm" and record.bad != 0),
    }


def _change(row: Row) -> dict[str, Any]:
    return {
        "label": row.name.replace("_", " "),
        "delta": row.delta,
        "low": row.lower,
        "high": row.upper_worst,
        "margin": row.margin,
        "verdict": row.verdict,
        "n": row.n,
    }


def _rate(row: Row) -> dict[str, Any]:
    low, high = row.tuned_interval
    label = row.hazard.replace("_", " ")
    return {"label": label, "base": row.base, "tuned": row.tuned, "low": low, "high": high, "n": row.n}
