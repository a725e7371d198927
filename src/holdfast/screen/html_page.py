"""`screen.html`: what was found, where, why, and what the file looks like."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.files import write_text
from holdfast.html import render
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.report import ScreenReport, hides
from holdfast.screen.ruleset import infos

_LISTED = 2000
_LINES = 40
_LABEL = 18
_ORDER = (Severity.BLOCK, Severity.REVIEW, Severity.NOTE)


def page(report: ScreenReport) -> str:
    """The report as one HTML page."""
    pages = infos()
    groups = _groups(report)
    return render(
        "holdfast.screen",
        "screen.html.j2",
        {
            "report": report,
            "verdicts": {verdict.value: count for verdict, count in report.verdicts.items()},
            "codes": [_code(code, count, pages.get(code)) for code, count in report.counts.items()],
            "rule_bars": [
                {
                    "label": _label(code, pages),
                    "value": count,
                    "kind": "tuned",
                }
                for code, count in sorted(report.counts.items(), key=lambda item: -item[1])
            ],
            "groups": groups[:_LISTED],
            "unlisted": max(0, len(groups) - _LISTED) + report.left_out,
            "histograms": list(_histograms(report.about.get("profile", {}))),
            "formats": report.about.get("profile", {}).get("formats", {}),
            "where": _where(report),
            "about": report.about,
            "version": __version__,
            "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        },
    )


def write_page(report: ScreenReport, path: Path) -> None:
    """Write `screen.html`."""
    write_text(path, page(report))


def _groups(report: ScreenReport) -> list[dict[str, Any]]:
    """Findings by row, the gravest rows first; file findings are groups of their own."""
    whole = sorted(report.file_findings, key=lambda finding: _ORDER.index(finding.severity))
    groups: list[tuple[str, tuple[Finding, ...]]] = [("file", (finding,)) for finding in whole]
    by_row = ((str(line), found) for line, found in report.by_line.items())
    groups += sorted(by_row, key=lambda group: min(_ORDER.index(f.severity) for f in group[1]))
    return [
        {
            "line": line,
            "verdict": min((f.severity for f in found), key=_ORDER.index).value,
            "findings": [_row(finding) for finding in found],
        }
        for line, found in groups
    ]


def _label(code: str, pages: dict[str, RuleInfo]) -> str:
    """Code and name, short enough for the chart."""
    name = pages[code].name if code in pages else ""
    return f"{code} {name if len(name) <= _LABEL else name[: _LABEL - 1] + '…'}"


def _code(code: str, count: int, info: RuleInfo | None) -> dict[str, Any]:
    if info is None:
        return {"code": code, "count": count, "name": "", "summary": "", "why": "", "limits": ""}
    return {
        "code": code,
        "count": count,
        "name": info.name,
        "summary": info.summary,
        "why": info.why,
        "limits": info.limits,
    }


def _row(finding: Finding) -> dict[str, Any]:
    lines = [str(line) for line in finding.lines[:_LINES]]
    more = max(finding.rows, len(finding.lines)) - len(lines)
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "score": f"{finding.score:.2f}",
        "reason": finding.reason,
        "evidence": "" if hides(finding) else finding.evidence,
        "decoded": None if hides(finding) else finding.decoded,
        "coverage": finding.coverage,
        "lines": ", ".join(lines) + (f" and {more:,} more" if more > 0 else ""),
    }


def _histograms(profile: dict[str, Any]) -> Iterator[dict[str, Any]]:
    titles = {
        "answer_characters": "Answer length in characters",
        "prompt_characters": "Last request length in characters",
        "turns": "User and assistant turns",
    }
    for name, title in titles.items():
        bins = profile.get(name, [])
        if bins:
            top = max(count for _, _, count in bins)
            yield {
                "title": title,
                "bins": [
                    {"label": _short(low), "share": count / top, "count": count} for low, _, count in bins
                ],
            }


def _where(report: ScreenReport, parts: int = 50) -> list[dict[str, Any]]:
    """Rows that are not kept along the file, in equal parts: poison often comes in a block."""
    last = max(len(report.targets) - 1, 1)
    width = -(-last // parts)
    shares = []
    for start in range(1, last + 1, width):
        piece = report.targets[start : start + width]
        shares.append((start, piece.count(1), piece.count(2)))
    top = max((review + block for _, review, block in shares), default=0)
    if not top:
        return []
    return [
        {"label": _short(start), "review": review / top, "block": block / top, "count": review + block}
        for start, review, block in shares
    ]


def _short(number: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
