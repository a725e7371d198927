"""What a worker does with a chunk: read its rows, run the rules, hand back findings and states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from holdfast.conversation import Conversation
from holdfast.errors import HoldfastError
from holdfast.formats import Chunk, DataFile, Problem, view
from holdfast.screen.base import FileRule, Finding, Looks, Severity
from holdfast.screen.config import ScreenConfig
from holdfast.screen.reader import RULE_FAILED, finding_of
from holdfast.screen.ruleset import RuleSet, load
from holdfast.screen.seen import with_calls, with_tools

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
        hits: Lines of the rows that each named finding concerns; empty but in the second look.
    """

    chunk: int
    line: int
    size: int
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    hits: list[list[int]] = field(default_factory=list)


class Worker:
    """Runs the rules of a configuration over chunks of one file.

    Args:
        file: The file.
        source: Its name.
        config: The configuration.
        named: Findings of a first pass; with them the worker does nothing but look for what they name.
    """

    def __init__(
        self, file: DataFile, source: str, config: ScreenConfig, named: tuple[Finding, ...] = ()
    ) -> None:
        self.file = file
        self.source = source
        self.config = config
        self.named = named
        self.rules: RuleSet = load(config, source)

    @property
    def setup(self) -> tuple[Any, ...]:
        """What the same worker in another process is made of (picklable)."""
        return self.file, self.source, self.config, self.named

    def seeking(self, named: Iterable[Finding]) -> Worker:
        """This worker for the second look."""
        other = copy(self)
        other.named = tuple(named)
        return other

    def new_states(self) -> list[Any]:
        """An empty state for every file rule."""
        return [rule.start() for rule in self.rules.files]

    def work(self, chunk: Chunk, states: list[Any]) -> Result:
        """Screen one chunk; its rows are added to `states`."""
        if self.named:
            return self._look(chunk)
        result = Result(chunk.index, chunk.next_line, chunk.size)
        found: list[Finding] = []
        batch: list[Conversation] = []
        files = list(zip(self.rules.files, states, strict=True))
        for row, problems in self._rows(chunk):
            result.rows += 1
            found.extend(map(finding_of, problems))
            if row is None:
                continue
            self._check_row(row, found)
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

    def _look(self, chunk: Chunk) -> Result:
        """Look for what is named in the rows of one chunk."""
        result = Result(chunk.index, chunk.next_line, chunk.size, hits=[[] for _ in self.named])
        readable = (row for row, _ in self._rows(chunk) if row is not None)
        found: list[Finding] = []
        for batch in iter(lambda: list(islice(readable, _BATCH)), []):
            rows = {row.line: row for row in batch}
            for named, lines in zip(self.named, result.hits, strict=True):
                for finding in self._looked(named, batch):
                    if finding.code == named.code:
                        lines.append(finding.line)
                    else:
                        found.append(_with_evidence(finding, rows[finding.line]))
        result.findings = settle(found, self.config, self.source)
        return result

    def _looked(self, named: Finding, batch: list[Conversation]) -> Iterable[Finding]:
        for rule in self.rules.files:
            if isinstance(rule, Looks) and any(info.code == named.code for info in rule.infos):
                try:
                    return list(rule.look(named, batch))
                except Exception as error:  # noqa: BLE001 - as above
                    return [_failed(rule, row.line, error) for row in batch]
        return ()

    def _rows(self, chunk: Chunk) -> Iterator[tuple[Conversation | None, list[Problem]]]:
        if chunk.payload and isinstance(chunk.payload, list) and isinstance(chunk.payload[0], Conversation):
            for row in chunk.payload:
                yield with_calls(row), []
            return
        for record in self.file.records(chunk):
            seen, problems = view(record, self.source, self.config.max_row_bytes)
            yield (None if seen is None else with_calls(seen)), problems

    def _check_row(self, row: Conversation, found: list[Finding]) -> None:
        first = len(found)
        row, before = with_tools(row) if row.meta else (row, 0)
        for rule in self.rules.rows:
            try:
                found.extend(rule.check(row))
            except HoldfastError:
                raise  # the user can act on it: the run ends with its words
            except Exception as error:  # noqa: BLE001 - one rule's mistake must not clear a row
                found.append(_failed(rule, row.line, error))
        if len(found) > first:
            found[first:] = [_placed(_with_evidence(finding, row), before) for finding in found[first:]]

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
            except HoldfastError:
                raise  # as above
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


def _placed(finding: Finding, before: int) -> Finding:
    """The finding with the index of its turn in the row, which has `before` turns less than was read."""
    if not before or finding.message is None:
        return finding
    if finding.message >= before:
        return replace(finding, message=finding.message - before)
    return replace(finding, message=None, span=None, reason=f"in the definition of a tool: {finding.reason}")


def _failed(rule: Any, line: int, error: Exception) -> Finding:
    code = rule.infos[0].code if rule.infos else type(rule).__name__
    words = f"the rule {code} stopped with {type(error).__name__}: {str(error)[:120]}"
    return Finding(RULE_FAILED, Severity.REVIEW, 1.0, words, line=line, coverage=0.0)
