"""`holdfast watch scan`: logs through the same rules and judge, only what is new since last time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from holdfast.errors import InputError
from holdfast.formats import DataFile, Record, open_file
from holdfast.review import Store
from holdfast.review.store import now
from holdfast.watch.logs import Logged, read_row
from holdfast.watch.policy import WatchPolicy
from holdfast.watch.records import set_offset, take_over
from holdfast.watch.schema import offsets
from holdfast.watch.screening import Look, Screening, Verdict

_CHUNK = 1 << 20
_HEAD = 1 << 12
_TOGETHER = 64


@dataclass
class Scanned:
    """What a scan saw.

    Attributes:
        rows: Rows read this time.
        exchanges: Rows that hold a request with an answer.
        skipped: Rows that do not.
        severities: Exchanges by severity.
        outcomes: Exchanges by the judge's outcome.
    """

    rows: int = 0
    exchanges: int = 0
    skipped: int = 0
    severities: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)

    def add(self, severity: str, outcome: str) -> None:
        """Count one exchange."""
        self.exchanges += 1
        severity, outcome = severity or "none", outcome or "unjudged"
        self.severities[severity] = self.severities.get(severity, 0) + 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


def scan(
    path: str | Path,
    store: Store,
    policy: WatchPolicy,
    *,
    screening: Screening | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scanned:
    """Screen the rows of a log that were not screened before.

    A JSONL log may have grown: the scan goes on after the last whole line it saw. Other files
    (Parquet, JSON, compressed) are scanned from the row after the last one seen. A file whose
    beginning changed is another file and is scanned from the start. Rows and the place reached
    are written together, chunk by chunk: a killed scan goes on where it was.

    Raises:
        InputError: The log cannot be read.
    """
    source = Path(path)
    file = open_file(source)
    screening = screening or Screening(policy)
    name, head = f"log:{source.resolve()}", _head(source)
    with store.read() as connection:
        row = connection.execute(select(offsets).where(offsets.c.name == name)).one_or_none()
    last = row.value if row is not None and row.head == head else 0
    total = Scanned()
    tenant = policy.tenants.get("default")
    keep = tenant is None or tenant.keep_incident_text
    for chunk in file.chunks(_CHUNK):
        if chunk.next_line <= last + 1:
            continue
        records = [r for r in _whole(file, chunk) if r.line > last]
        if not records:
            continue
        total.rows += len(records)
        read = [(r.line, read_row(r, str(source), policy.limits.max_body)) for r in records]
        logged = [(line, one) for line, one in read if one is not None]
        made = _screened(logged, f"{name}:{head}", screening, keep)
        total.skipped += len(records) - len(made)
        for record in made:
            total.add(record["severity"], record["outcome"])
        with store.write() as connection:
            take_over(connection, made, policy)
            set_offset(connection, name, records[-1].line, head)
        if progress is not None:
            progress(len(records))
    return total


def _whole(file: DataFile, chunk: Any) -> list[Record]:
    """The rows of a chunk, without a last line that is still being written."""
    records = list(file.records(chunk))
    if file.kind == "jsonl" and chunk.payload is None and records:
        with file.path.open("rb") as handle:
            handle.seek(chunk.start + chunk.length - 1)
            if handle.read(1) != b"\n":
                records.pop()
    return records


def _screened(
    rows: Sequence[tuple[int, Logged]], name: str, screening: Screening, keep: bool
) -> list[dict[str, Any]]:
    made = []
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        looks = [Look(tuple(one.messages), one.answer, one.finish) for _, one in part]
        for (line, one), verdict in zip(part, screening.look(looks), strict=True):
            made.append(_record(f"{name}:{line}", one, verdict, keep))
    return made


def _record(place: str, logged: Logged, verdict: Verdict, keep: bool) -> dict[str, Any]:
    grave = verdict.severity in ("review", "block")
    asked = "\x00".join(f"{m.role}\x01{m.content}" for m in logged.messages)
    record: dict[str, Any] = {
        "kind": "finished",
        "id": _sha(place)[:32],
        "at": logged.at if logged.at[:4].isdigit() and "T" in logged.at else now(),
        "tenant": logged.tenant or "log",
        "model": logged.model,
        "request_sha": _sha(asked),
        "answer_sha": _sha(logged.answer),
        "state": "done",
        "severity": verdict.severity,
        "codes": list(verdict.codes),
        "outcome": verdict.outcome,
        "refused": verdict.refused,
        "hazard": verdict.hazard,
        "reason": verdict.reason,
        "action": "log",
        "unscreened": "",
        "added_ms": 0.0,
        "upstream_ms": 0.0,
    }
    if grave and keep:
        record["text"] = {
            "messages": [[m.role, m.content] for m in logged.messages],
            "answer": logged.answer,
            "findings": list(verdict.findings),
        }
    return record


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _head(path: Path) -> str:
    """What makes a log the same file: the first line, or the first bytes where that is not text."""
    try:
        with path.open("rb") as handle:
            return hashlib.sha256(handle.readline(_HEAD)).hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        raise InputError("no such log file", path=path) from None
