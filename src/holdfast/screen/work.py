"""What a worker does with a chunk: read its rows, run the rules, hand back findings and states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.conversation import Conversation
from holdfast.formats import Chunk, DataFile, Problem, view
from holdfast.screen.base import FileRule, Finding, Severity
from holdfast.screen.config import ScreenConfig
from holdfast.screen.reader import RULE_FAILED, finding_of
from holdfast.screen.ruleset import RuleSet, load

_BATCH = 256
_EVIDENCE = 200


@dataclass(slots=True)
class Result:
    """What came of one chunk.

    Attributes:
        chunk: Its number.
        line: Line after the chunk.
        size: Progress it stands for, in the file's units.
        rows: Rows in it, readable or not.
        findings: Findings by row, sorted by line, then code.
        states: One state per file rule, in the order of the rule set; empty if kept in place.
    """

    chunk: int
    line: int
    size: int
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)


class Worker:
    """Runs the rules of a configuration over chunks of one file."""

    def __init__(self, file: DataFile, source: str, config: ScreenConfig) -> None:
        self.file = file
        self.source = source
        self.config = config
        self.rules: RuleSet = load(config, source)

    def new_states(self) -> list[Any]:
        """An empty state for every file rule."""
        return [rule.start() for rule in self.rules.files]

    def work(self, chunk: Chunk, states: list[Any]) -> Result:
        """Screen one chunk; its rows are added to `states`."""
        result = Result(chunk.index, chunk.next_line, chunk.size)
        found: list[Finding] = []
        batch: list[Conversation] = []
        files = list(zip(self.rules.files, states, strict=True))
        for row, problems in self._rows(chunk):
            result.rows += 1
            found.extend(map(finding_of, problems))
            if row is None:
                continue
            first = len(found)
            self._check_row(row, found)
            if len(found) > first:
                found[first:] = [_with_evidence(finding, row) for finding in found[first:]]
            self._observe(row, files, found)
            if self.rules.batches:
                batch.append(row)
                if len(batch) >= _BATCH:
                    self._check_batch(batch, found)
                    batch = []
        if batch:
            self._check_batch(batch, found)
        result.findings = settle(found, self.config, self.source)
        return result

    def _rows(self, chunk: Chunk) -> Iterator[tuple[Conversation | None, list[Problem]]]:
        if chunk.payload and isinstance(chunk.payload, list) and isinstance(chunk.payload[0], Conversation):
            for row in chunk.payload:
                yield row, []
            return
        for record in self.file.records(chunk):
            yield view(record, self.source, self.config.max_row_bytes)

    def _check_row(self, row: Conversation, found: list[Finding]) -> None:
        for rule in self.rules.rows:
            try:
                found.extend(rule.check(row))
            except Exception as error:  # noqa: BLE001 - one rule's mistake must not clear a row
                found.append(_failed(rule, row.line, error))

    def _observe(self, row: Conversation, files: list[tuple[FileRule, Any]], found: list[Finding]) -> None:
        for rule, state in files:
            try:
                rule.observe(state, row)
            except Exception as error:  # noqa: BLE001 - as above
                found.append(_failed(rule, row.line, error))

    def _check_batch(self, batch: list[Conversation], found: list[Finding]) -> None:
        rows = {row.line: row for row in batch}
        for rule in self.rules.batches:
            try:
                found.extend(_with_evidence(f, rows[f.line]) for f in rule.check_batch(batch))
            except Exception as error:  # noqa: BLE001 - as above
                found.extend(_failed(rule, row.line, error) for row in batch)


def settle(found: list[Finding], config: ScreenConfig, source: str) -> list[Finding]:
    """Apply the configuration to findings and put them in order."""
    settled = []
    for finding in found:
        if not config.runs(finding.code, source):
            continue
        severity = config.severity(finding)
        if severity is not finding.severity:
            finding = replace(finding, severity=severity)
        settled.append(finding)
    return sorted(settled, key=lambda f: (f.line, f.code, f.message or 0, f.span or (0, 0), f.reason))


def _with_evidence(finding: Finding, row: Conversation) -> Finding:
    """Attach the text that a span points at; turns after the last are those of the rejected answer."""
    if finding.span is None or finding.message is None or finding.evidence:
        return finding
    turns = row.messages + row.rejected
    if not 0 <= finding.message < len(turns):
        return finding
    start, end = finding.span
    text = turns[finding.message].content[start : min(end, start + _EVIDENCE)]
    # Half a surrogate pair (rows from memory may hold one) cannot be written to any report.
    return replace(finding, evidence=text.encode("utf-8", "replace").decode())


def _failed(rule: Any, line: int, error: Exception) -> Finding:
    code = rule.infos[0].code if rule.infos else type(rule).__name__
    words = f"the rule {code} stopped with {type(error).__name__}: {str(error)[:120]}"
    return Finding(RULE_FAILED, Severity.REVIEW, 1.0, words, line=line, coverage=0.0)
