"""The terminal's view of a report: one line per finding, as linters print them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from holdfast.screen.base import Finding, RuleInfo, Verdict
from holdfast.screen.report import ScreenReport, hides

if TYPE_CHECKING:
    from holdfast.screen.calibrate import Calibration, Rate
    from holdfast.screen.options import Threshold

HIDDEN = "harmful text hidden, --show prints it"
_WIDTH = 80
_FEW = 8


def lines(report: ScreenReport, *, show: bool = False) -> Iterator[str]:
    """Yield `path:line: CODE severity: reason (evidence)` for every finding, then the summary."""
    for finding in report.findings:
        yield f"{report.source}:{finding.line}: {_said(finding, show)}"
    for finding in report.file_findings:
        where = _places(finding)
        yield f"{report.source}: {_said(finding, show)}" + (f" [{where}]" if where else "")
    yield from summary(report)


def summary(report: ScreenReport) -> Iterator[str]:
    """Yield the last lines: verdicts, findings by code, files written."""
    keep, review, block = (report.verdicts[v] for v in (Verdict.KEEP, Verdict.REVIEW, Verdict.BLOCK))
    rate = report.rows / report.seconds if report.seconds else 0.0
    yield f"{report.rows:,} rows in {report.seconds:.1f} s ({rate:,.0f} rows/s): " + (
        f"{keep:,} keep, {review:,} review, {block:,} block"
    )
    if report.counts:
        yield "findings: " + ", ".join(f"{code} {count:,}" for code, count in report.counts.items())
    else:
        yield "no findings"
    for dose in report.about.get("dose", ()):
        yield f"dose: {dose['words']}"
    if report.left_out:
        yield f"{report.left_out:,} more row findings are counted in the verdicts but not listed"
    if report.resumed:
        yield f"{report.resumed:,} rows were taken over from an interrupted run"
    for name, path in report.outputs.items():
        yield f"{name}: {path}"


def calibration(result: Calibration) -> Iterator[str]:
    """Yield the lines of a calibration: false alarms, recall, suggestions, warnings."""
    yield f"clean rows flagged: {_rate(result.flagged)}, blocked: {_rate(result.blocked)}"
    if result.by_code:
        yield "  by rule: " + ", ".join(f"{code} {count:,}" for code, count in result.by_code.items())
    yield f"canaries caught as configured, and with thresholds for {result.target:.1%} false positives:"
    for kind, rate in result.caught.items():
        yield f"  {kind:12} {_rate(rate):34} {_rate(result.at_target[kind])}"
    for kind, texts in result.missed.items():
        for text in texts[:3]:
            yield f"  missed {kind}: {shorten(text, 120)}"
    for name, rate in result.attacks.items():
        yield f"your attack rows, {name.replace('_', ' ')}: {_rate(rate)}"
    if result.suggested:
        yield "these thresholds reach the target on the clean rows (holdfast.yaml):"
        yield "screen:"
        yield "  rules:"
        for code, settings in result.suggested.items():
            yield f"    {code}: {{{', '.join(f'{key}: {value}' for key, value in settings.items())}}}"
    for warning in result.warnings:
        yield f"note: {warning}"


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.hits:,} of {rate.rows:,} = {rate.value:.1%} [{low:.1%}, {high:.1%}]"


def page(info: RuleInfo, thresholds: Sequence[Threshold] = ()) -> str:
    """A rule's documentation page as plain text."""
    parts = [
        f"{info.code} {info.name} (default: {info.severity.value})",
        info.summary,
        f"Why: {info.why}",
        f"Fires on: {_example(info.fires)}",
        f"Passes: {_example(info.passes)}",
    ]
    if info.limits:
        parts.append(f"Cannot see: {info.limits}")
    if thresholds:
        parts.append("\n".join(["Thresholds (options):", *(f"  {threshold}" for threshold in thresholds)]))
    return "\n\n".join(parts)


def shorten(text: str, width: int = _WIDTH) -> str:
    """One line of at most `width` characters, control characters made visible."""
    flat = " ".join(text.split())
    flat = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in flat)
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _said(finding: Finding, show: bool) -> str:
    evidence = ""
    if hides(finding) and not show:
        evidence = f" ({HIDDEN})" if finding.evidence else ""
    elif finding.decoded:
        evidence = f" (decoded: “{shorten(finding.decoded, 400 if show else _WIDTH)}”)"
    elif finding.evidence:
        evidence = f" (“{shorten(finding.evidence, 400 if show else _WIDTH)}”)"
    return f"{finding.code} {finding.severity.value}: {finding.reason}{evidence}"


def _places(finding: Finding) -> str:
    if not finding.lines:
        return ""
    few = ", ".join(str(line) for line in finding.lines[:_FEW])
    more = max(finding.rows, len(finding.lines)) - len(finding.lines[:_FEW])
    return f"lines {few}" + (f" and {more:,} more" if more > 0 else "")


def _example(value: object) -> str:
    from holdfast.files import to_json

    if value is None:
        return "(no short example)"
    if isinstance(value, bytes):
        return repr(value)
    return value if isinstance(value, str) else to_json(value).decode()
