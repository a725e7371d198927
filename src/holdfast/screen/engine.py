"""The local engine: chunks out, results in order, states merged, progress kept."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from holdfast.errors import InputError
from holdfast.formats import Chunk, DataFile
from holdfast.screen.base import Finding, Severity
from holdfast.screen.checkpoint import Checkpoint
from holdfast.screen.profile import Profile
from holdfast.screen.work import Result, Worker, settle

Progress = Callable[[int], None]
"""Called with the number of units finished since the last call."""

MAX_FINDINGS = 200_000
MAX_LINES = 5_000
_SMALL = 2 << 20
_CHUNK = 4 << 20
_CODE = {Severity.NOTE: 0, Severity.REVIEW: 1, Severity.BLOCK: 2}


class Engine(Protocol):
    """Runs a worker's rules over chunks; results come back in the order of the chunks."""

    def __call__(self, worker: Worker, chunks: Iterator[Chunk]) -> Iterator[Result]:
        """Yield one result per chunk, with its states."""
        ...


@dataclass
class Scan:
    """What the pass over a file gave.

    Attributes:
        rows: Rows read, readable or not.
        findings: Findings by row (at most `MAX_FINDINGS`).
        left_out: Row findings beyond that; their verdicts count all the same.
        file_findings: Findings over the whole file.
        targets: By line: 0 keep, 1 review, 2 block.
        counts: Findings by code, complete.
        profile: What the file looks like, see `Profile.summary`.
        resumed: Rows taken over from an interrupted run.
    """

    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    left_out: int = 0
    file_findings: list[Finding] = field(default_factory=list)
    targets: bytearray = field(default_factory=lambda: bytearray(1))
    counts: dict[str, int] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    resumed: int = 0

    def add(self, findings: Iterator[Finding] | list[Finding]) -> None:
        """Count row findings into the verdicts."""
        for finding in findings:
            self.counts[finding.code] = self.counts.get(finding.code, 0) + 1
            self.raise_to(finding.line, finding.severity)
            if len(self.findings) < MAX_FINDINGS:
                self.findings.append(finding)
            else:
                self.left_out += 1

    def raise_to(self, line: int, severity: Severity) -> None:
        """A row's verdict is the gravest of its findings."""
        self.reach(line)
        self.targets[line] = max(self.targets[line], _CODE[severity])

    def reach(self, line: int) -> None:
        """Make room for verdicts up to a line."""
        if line >= len(self.targets):
            self.targets.extend(bytes(line + 1 - len(self.targets)))


def jobs_for(file: DataFile, jobs: int | None) -> int:
    """How many processes to use: all cores, but one for a file that is screened in a blink."""
    if jobs is not None:
        return max(1, jobs)
    if file.kind != "parquet" and file.size < _SMALL:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def chunk_bytes(file: DataFile, jobs: int) -> int:
    """Chunks large enough to be worth sending, small enough to keep every process busy."""
    return min(_CHUNK, max(1 << 18, file.size // (4 * jobs)))


def scan(
    worker: Worker,
    size: int,
    jobs: int,
    *,
    engine: Engine | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    advance: Progress | None = None,
) -> Scan:
    """Screen a file.

    Args:
        worker: Holds the file and the rules.
        size: Bytes per chunk.
        jobs: Processes; 1 works in this one.
        engine: Another way to run the chunks (Ray).
        checkpoint: Where progress is kept, if it is.
        progress: Told of finished rows.
        advance: Told of finished units of the file's size.

    Raises:
        InputError: The file has no row.
    """
    with checkpoint or nullcontext():
        result, after, states = Scan(), None, worker.new_states()
        if checkpoint is not None and checkpoint.mark.chunk is not None:
            mark = checkpoint.mark
            for past in checkpoint.past():
                result.add(past.findings)
            result.rows = result.resumed = mark.rows
            after, states = mark.chunk, mark.states
            _tell(progress, mark.rows)
            _tell(advance, mark.size)
        for chunk, done in _results(worker, size, after, states, jobs, engine):
            if done.states:
                rules = worker.rules.files
                states = [r.merge(a, b) for r, a, b in zip(rules, states, done.states, strict=True)]
            result.rows += done.rows
            result.reach(done.line)
            result.add(done.findings)
            if checkpoint is not None:
                checkpoint.add(chunk, done, states)
            _tell(progress, done.rows)
            _tell(advance, done.size)
        if not result.rows:
            raise InputError(
                "there is no row in it", path=worker.source, fix="name a file with at least one row"
            )
        _finish(worker, states, result)
        if named := [finding for finding in result.file_findings if finding.sought is not None]:
            seeking = worker.seeking(named)
            again = None if checkpoint is None else checkpoint.second()
            with again or nullcontext():
                _look_again(seeking, size, jobs, engine, again, result)
        result.findings.sort(key=lambda f: (f.line, f.code))
        return result


def _look_again(
    worker: Worker, size: int, jobs: int, engine: Engine | None, checkpoint: Checkpoint | None, result: Scan
) -> None:
    """Read the file a second time, for what was named in a sample; its findings then have all rows."""
    counts, first, after = [0] * len(worker.named), [array("Q") for _ in worker.named], None

    def add(done: Result) -> None:
        result.add(done.findings)
        for number, (finding, lines) in enumerate(zip(worker.named, done.hits, strict=True)):
            counts[number] += len(lines)
            first[number].extend(lines[: MAX_LINES - len(first[number])])
            for line in lines:
                result.raise_to(line, finding.severity)

    if checkpoint is not None and checkpoint.mark.chunk is not None:
        after = checkpoint.mark.chunk
        for past in checkpoint.past():
            add(past)
    for chunk, done in _results(worker, size, after, [], jobs, engine):
        add(done)
        if checkpoint is not None:
            checkpoint.add(chunk, done, [])
    full = {
        finding: replace(
            finding, reason=f"{finding.reason}; {count:,} rows of the file", rows=count, lines=tuple(lines)
        )
        for finding, count, lines in zip(worker.named, counts, first, strict=True)
    }
    result.file_findings = [full.get(finding, finding) for finding in result.file_findings]


def _results(
    worker: Worker, size: int, after: Chunk | None, states: list[Any], jobs: int, engine: Engine | None
) -> Iterator[tuple[Chunk, Result]]:
    """The place and the result of every chunk after `after`, in order."""
    sent: dict[int, Chunk] = {}
    chunks = _remember(worker.file.chunks(size, after), sent)
    for done in _run(worker, chunks, states, jobs, engine):
        yield sent.pop(done.chunk), done


def _run(
    worker: Worker, chunks: Iterator[Chunk], states: list[Any], jobs: int, engine: Engine | None
) -> Iterator[Result]:
    if engine is not None:
        yield from engine(worker, chunks)
    elif jobs == 1:
        for chunk in chunks:
            yield worker.work(chunk, states)
    else:
        from holdfast.screen.pool import Pool

        with Pool(jobs, worker.setup) as pool:
            yield from pool.map(chunks)


def _tell(progress: Progress | None, units: int) -> None:
    if progress is not None:
        progress(units)


def _remember(chunks: Iterator[Chunk], sent: dict[int, Chunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        sent[chunk.index] = chunk.place()
        yield chunk


def _finish(worker: Worker, states: list[Any], result: Scan) -> None:
    """Read the states of the file rules; a finding on one line is that row's, others are the file's."""
    found: list[Finding] = []
    for rule, state in zip(worker.rules.files, states, strict=True):
        found.extend(rule.finish(state))
        if isinstance(rule, Profile):
            result.profile = rule.summary(state)
    for finding in settle(found, worker.config, worker.source):
        if finding.line:
            result.add([finding])
        else:
            result.counts[finding.code] = result.counts.get(finding.code, 0) + 1
            result.file_findings.append(finding)
            for line in finding.lines:
                result.raise_to(line, finding.severity)
