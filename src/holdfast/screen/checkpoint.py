"""Progress inside one file that survives `kill -9`: a log of findings and a mark in it.

The log grows chunk by chunk; every few seconds the states of the file rules and the length of
the log are written atomically. A new run with the same key cuts the log at the mark and goes
on with the next chunk, so no row is screened twice and none is left out.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.files import JsonLines, write_bytes
from holdfast.formats import Chunk
from holdfast.screen.base import Finding, Severity
from holdfast.screen.work import Result

_SECONDS = 5.0


@dataclass
class Mark:
    """Where a run stands.

    Attributes:
        key: Digest of everything that decides the result (file, rules, configuration).
        chunk: The last finished chunk, or None.
        rows: Rows finished.
        size: Progress finished, in the file's units.
        log: Bytes of the findings log that belong to finished chunks.
        states: States of the file rules after them.
    """

    key: str
    chunk: Chunk | None = None
    rows: int = 0
    size: int = 0
    log: int = 0
    states: list[Any] = field(default_factory=list)


class Checkpoint:
    """The working folder of one run."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._log = JsonLines(folder / "findings.log")
        self._mark_path = folder / "mark.pickle"
        self.mark = self._load(key)
        self._at = time.monotonic()

    def _load(self, key: str) -> Mark:
        # The folder is this program's own, inside the user's output folder; it is not input. A mark
        # that someone else could have put there is not read: a pickle can run code.
        if not _own(self._mark_path):
            return Mark(key)
        with contextlib.suppress(OSError, pickle.PickleError, EOFError, AttributeError, ImportError):
            mark = pickle.loads(self._mark_path.read_bytes())
            if isinstance(mark, Mark) and mark.key == key and self._log.path.stat().st_size >= mark.log:
                return mark
        return Mark(key)

    def __enter__(self) -> Checkpoint:
        if self.mark.chunk is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            os.truncate(self._log.path, self.mark.log)
        self._log.__enter__()
        return self

    def past(self) -> Iterator[Result]:
        """What the chunks that an earlier run finished gave; of each what was found alone."""
        for record in self._log.read():
            found = list(map(finding_from, record["findings"]))
            yield Result(record["chunk"], 0, 0, findings=found, hits=record["hits"])

    def second(self) -> Checkpoint:
        """The working folder, inside this one, of the second look at the same file."""
        self.save()
        return Checkpoint(self._folder / "second", self.mark.key)

    def add(self, chunk: Chunk, result: Result, states: list[Any]) -> None:
        """Log a finished chunk; write the mark when it is time."""
        if result.findings or any(result.hits):
            found = [finding_to(finding) for finding in result.findings]
            self._log.append({"chunk": result.chunk, "findings": found, "hits": result.hits})
        mark = self.mark
        mark.chunk, mark.states = chunk.place(), states
        mark.rows += result.rows
        mark.size += result.size
        if time.monotonic() - self._at >= _SECONDS:
            self.save()

    def save(self) -> None:
        """Write the mark now."""
        self.mark.log = self._log.path.stat().st_size
        write_bytes(self._mark_path, pickle.dumps(self.mark, protocol=pickle.HIGHEST_PROTOCOL))
        self._at = time.monotonic()

    def __exit__(self, *exc: object) -> None:
        self._log.__exit__()

    def remove(self) -> None:
        """Drop the working folder: the run is finished."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _own(path: Path) -> bool:
    """Whether the file is ours and nobody outside our group may write it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & stat.S_IWOTH


def finding_to(finding: Finding, *, text: bool = True) -> dict[str, Any]:
    """A finding as JSON data, in the form of the public contract; without `text` no evidence."""
    return {
        "line": finding.line,
        "code": finding.code,
        "severity": finding.severity.value,
        "score": round(finding.score, 4),
        "reason": finding.reason,
        "message": finding.message,
        "span": None if finding.span is None else list(finding.span),
        "decoded": finding.decoded if text else None,
        "coverage": round(finding.coverage, 4),
        **({"lines": list(finding.lines)} if finding.lines else {}),
        **({"rows": finding.rows} if finding.rows else {}),
        **({"evidence": finding.evidence} if finding.evidence and text else {}),
    }


def finding_from(data: dict[str, Any]) -> Finding:
    """The finding that `finding_to` made the data of."""
    span = data["span"]
    return Finding(
        code=data["code"],
        severity=Severity(data["severity"]),
        score=data["score"],
        reason=data["reason"],
        line=data["line"],
        message=data["message"],
        span=None if span is None else (span[0], span[1]),
        decoded=data["decoded"],
        coverage=data["coverage"],
        lines=tuple(data.get("lines", ())),
        evidence=data.get("evidence", ""),
        rows=data.get("rows", 0),
    )
