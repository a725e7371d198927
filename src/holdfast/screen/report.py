"""The result of a screening, typed, and its JSON form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from holdfast.screen.base import Finding, Verdict
from holdfast.screen.checkpoint import finding_to

_VERDICTS = (Verdict.KEEP, Verdict.REVIEW, Verdict.BLOCK)


def hides(finding: Finding) -> bool:
    """Whether a finding's text is harmful in itself: reports keep it out, people may ask for it."""
    return finding.code.startswith("HC")


def public(finding: Finding) -> dict[str, Any]:
    """A finding as reports hold it."""
    return finding_to(finding, text=not hides(finding))


@dataclass(frozen=True)
class ScreenReport:
    """What a screening found.

    Attributes:
        source: The file as the user named it.
        rows: Rows read, readable or not.
        findings: Findings by row, in the order of the file.
        file_findings: Findings over the whole file, with the lines they concern.
        verdicts: Rows by verdict; they sum to `rows`.
        counts: Findings by rule code.
        seconds: Wall time.
        resumed: Rows taken over from an interrupted run.
        left_out: Row findings that are counted but not held in `findings`.
        outputs: Files that were written, by name (`clean`, `review`, ...).
        about: Statistics of the file and of the run (see `docs/screen.md`).
    """

    source: str
    rows: int
    findings: tuple[Finding, ...]
    file_findings: tuple[Finding, ...]
    verdicts: Mapping[Verdict, int]
    counts: Mapping[str, int]
    seconds: float = 0.0
    resumed: int = 0
    left_out: int = 0
    outputs: Mapping[str, Path] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    targets: bytes = field(default=b"", repr=False)

    def verdict(self, line: int) -> Verdict:
        """The verdict of the row on a line."""
        return _VERDICTS[self.targets[line]] if 0 <= line < len(self.targets) else Verdict.KEEP

    def flagged(self) -> Iterator[tuple[int, Verdict]]:
        """Lines that are not kept, in order, with their verdict."""
        for line, target in enumerate(self.targets):
            if target:
                yield line, _VERDICTS[target]

    @cached_property
    def by_line(self) -> Mapping[int, tuple[Finding, ...]]:
        """Row findings by line."""
        found: dict[int, list[Finding]] = {}
        for finding in self.findings:
            found.setdefault(finding.line, []).append(finding)
        return {line: tuple(items) for line, items in found.items()}

    @cached_property
    def whole_by_line(self) -> Mapping[int, tuple[Finding, ...]]:
        """File findings by the lines they concern."""
        found: dict[int, list[Finding]] = {}
        for finding in self.file_findings:
            for line in finding.lines:
                found.setdefault(line, []).append(finding)
        return {line: tuple(items) for line, items in found.items()}

    @property
    def blocked(self) -> bool:
        """Whether any row is blocked."""
        return self.verdicts[Verdict.BLOCK] > 0

    def to_json(self) -> dict[str, Any]:
        """The object that `holdfast screen --json` prints (schema 1)."""
        return {
            "schema": 1,
            "source": self.source,
            "rows": self.rows,
            "findings": [public(f) for f in self.findings],
            "file_findings": [public(f) for f in self.file_findings],
            "verdicts": {verdict.value: count for verdict, count in self.verdicts.items()},
            "flagged_lines": {str(line): verdict.value for line, verdict in self.flagged()},
            "counts": dict(self.counts),
            "findings_left_out": self.left_out,
            "seconds": round(self.seconds, 3),
            "resumed": self.resumed,
            "outputs": {name: str(path) for name, path in self.outputs.items()},
            "about": dict(self.about),
        }
