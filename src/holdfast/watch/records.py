"""From the spool into the database: exchanges, counts, incidents, monitors, in one transaction.

A piece of the spool and the offset that says it is in are written together, so that a crash
between two pieces repeats nothing and loses nothing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from holdfast.errors import HoldfastError
from holdfast.review.store import Store, now
from holdfast.review.texts import ascii_json, clean
from holdfast.watch import alarms, drift
from holdfast.watch.drift import Monitor
from holdfast.watch.policy import WatchPolicy
from holdfast.watch.schema import exchanges, incidents, minutes, monitors, offsets
from holdfast.watch.spool import Spool

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FIELDS = ("severity", "outcome", "hazard", "action", "unscreened", "added_ms", "upstream_ms")
_LOG = logging.getLogger(__name__)
_LOCK = 0x486F6C64  # an arbitrary number that names this lock in PostgreSQL
_JUMP = timedelta(hours=1)
_STOP_S = 20.0
_LONGEST_WAIT = 10.0  # seconds between two tries while the database is away


class Drainer:
    """Takes records over while the gateway runs; waits out a database that is away.

    Args:
        store: The database, with watch tables.
        spool: Where the gateway writes.
        policy: Baselines, alarms, retention.
        chores: Also deliver alarms and prune; one of several workers is enough for that.
    """

    def __init__(self, store: Store, spool: Spool, policy: WatchPolicy, *, chores: bool = True) -> None:
        self.store, self.spool, self.policy, self._chores = store, spool, policy, chores
        self._stop = threading.Event()
        self._until = float("inf")
        self._thread: threading.Thread | None = None
        self._wall, self._clock = datetime.now(UTC), time.monotonic()
        self._pruned = float("-inf")

    def drain(self) -> int:
        """Take over everything that is complete; returns the number of records.

        Raises:
            RunError: The database is away; what was not taken over stays in the spool.
        """
        with self.store.read() as connection:
            query = select(offsets.c.name, offsets.c.value).where(offsets.c.head == "spool")
            done = dict(connection.execute(query).tuples().all())
        count = 0
        for name, offset, records in self.spool.read(done):
            if time.monotonic() > self._until:
                _LOG.warning("records stay in the spool %s until the next start", self.spool.folder)
                break
            with self.store.write() as connection:
                take_over(connection, records, self.policy)
                set_offset(connection, name, offset, "spool")
            done[name] = offset
            count += len(records)
        dropped = self.spool.drop(done)
        if dropped:
            with self.store.write() as connection:
                connection.execute(
                    delete(offsets).where(offsets.c.name.in_(dropped), offsets.c.head == "spool")
                )
        return count

    def start(self, every_s: float = 0.5) -> None:
        """Drain, deliver alarms and prune in a thread until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(every_s,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take over what is left, as far as the database lets us in 20 seconds, and end the thread."""
        self._until = time.monotonic() + _STOP_S
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, every_s: float) -> None:
        wait, away = every_s, False
        while True:
            last = self._stop.is_set()
            try:
                self.drain()
                if self._chores:
                    alarms.deliver(self.store, self.policy.alarms)
                    self._prune_hourly()
                if away:
                    _LOG.warning("the store is back; what waited in the spool was taken over")
                wait, away = every_s, False
            except HoldfastError as error:
                if not away or last:
                    _LOG.warning("records wait in the spool %s: %s", self.spool.folder, error)
                wait, away = min(2 * wait, _LONGEST_WAIT), True
            except Exception:  # noqa: BLE001 - a thread that dies in silence would fill the disk
                _LOG.exception("records cannot be taken over; they stay in the spool")
                wait = min(2 * wait, _LONGEST_WAIT)
            if last:
                return
            self._stop.wait(wait)

    def _prune_hourly(self) -> None:
        if time.monotonic() - self._pruned > 3600:
            self.prune()
            self._pruned = time.monotonic()

    def prune(self) -> int:
        """Delete exchanges that are older than the retention; returns how many.

        Does nothing when the wall clock moved by more than an hour against the steady clock since
        the start: after a jump "thirty days ago" may be yesterday.
        """
        elapsed = timedelta(seconds=time.monotonic() - self._clock)
        if abs(datetime.now(UTC) - self._wall - elapsed) > _JUMP:
            return 0
        cut = (datetime.now(UTC) - timedelta(days=self.policy.retention_days)).isoformat()
        with self.store.write() as connection:
            connection.execute(update(incidents).where(incidents.c.at < cut).values(text=None))
            return connection.execute(delete(exchanges).where(exchanges.c.at < cut)).rowcount


def take_over(connection: Connection, records: Sequence[dict[str, Any]], policy: WatchPolicy) -> None:
    """Write records of accepted and finished exchanges, and everything that follows from them."""
    _alone(connection)
    known = _known(connection, records)
    new: dict[str, dict[str, Any]] = {}
    finished = []
    for record in records:
        state = known.get(record["id"])
        if record["kind"] == "accepted":
            if state is None and record["id"] not in new:
                new[record["id"]] = _accepted(record)
        elif state in (None, "accepted"):
            known[record["id"]] = record["state"]
            finished.append(record)
            row = _accepted(record) | _finished(record)
            if state is None:
                new[record["id"]] = row
            else:
                connection.execute(update(exchanges).where(exchanges.c.id == record["id"]).values(**row))
    if new:
        connection.execute(insert(exchanges), list(new.values()))
    _count(connection, finished)
    _incidents(connection, finished)
    _watch(connection, finished, policy)


def _alone(connection: Connection) -> None:
    """One writer at a time until the transaction ends: counts and monitors are read, then written.

    SQLite's write lock does the same.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def set_offset(connection: Connection, name: str, value: int, head: str) -> None:
    """Remember how far a file was read."""
    where = offsets.c.name == name
    if connection.execute(update(offsets).where(where).values(value=value, head=head)).rowcount == 0:
        connection.execute(insert(offsets).values(name=name, value=value, head=head))


def load_monitors(connection: Connection, policy: WatchPolicy) -> dict[str, Monitor]:
    """The policy's monitors with the state they had; a changed baseline starts a new one."""
    fresh = drift.monitors(policy.drift)
    for name, state in connection.execute(select(monitors.c.name, monitors.c.state)).tuples():
        saved = Monitor(**json.loads(state))
        wanted = fresh.get(name)
        if wanted is not None and (saved.limit, saved.epoch) == (wanted.limit, wanted.epoch):
            saved.alpha = wanted.alpha
            fresh[name] = saved
    return fresh


def _known(connection: Connection, records: Sequence[dict[str, Any]]) -> dict[str, str]:
    names = sorted({record["id"] for record in records})
    query = select(exchanges.c.id, exchanges.c.state).where(exchanges.c.id.in_(names))
    return dict(connection.execute(query).tuples().all())


def _accepted(record: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(_FIELDS, "")
    empty |= {
        "added_ms": 0.0,
        "upstream_ms": 0.0,
        "answer_sha": "",
        "codes": "[]",
        "text": None,
        "refused": None,
    }
    same = {name: record[name] for name in ("id", "at", "tenant", "model", "request_sha")}
    return {**empty, **clean(same), "state": "accepted"}


def _finished(record: dict[str, Any]) -> dict[str, Any]:
    text = record.get("text")
    return {
        **{name: clean(record[name]) for name in _FIELDS},
        "state": record["state"],
        "answer_sha": record["answer_sha"],
        "codes": ascii_json(record["codes"]),
        "refused": None if record["refused"] is None else int(record["refused"]),
        "text": None if text is None else ascii_json(text),
    }


def _count(connection: Connection, finished: Sequence[dict[str, Any]]) -> None:
    sums: dict[tuple[str, str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for record in finished:
        cell = sums[record["at"][:16], clean(record["tenant"]), clean(record["model"])]
        cell["total"] += 1
        cell["harmful"] += record["outcome"] == "harmful"
        cell["refused"] += bool(record["refused"])
        cell["judged"] += bool(record["outcome"])
        cell["stopped"] += record["action"] in ("block", "replace")
        cell["unscreened"] += bool(record["unscreened"])
        cell["added_ms"] += record["added_ms"]
    for (minute, tenant, model), cell in sums.items():
        where = (minutes.c.minute == minute, minutes.c.tenant == tenant, minutes.c.model == model)
        more = {name: minutes.c[name] + value for name, value in cell.items()}
        if connection.execute(update(minutes).where(*where).values(**more)).rowcount == 0:
            connection.execute(insert(minutes).values(minute=minute, tenant=tenant, model=model, **cell))


def _incidents(connection: Connection, finished: Sequence[dict[str, Any]]) -> None:
    grave = [r for r in finished if r["severity"] in ("review", "block") and not r["unscreened"]]
    number = connection.execute(select(func.max(incidents.c.id))).scalar() or 0 if grave else 0
    rows = [
        {
            "id": number + place,
            "exchange": record["id"],
            "at": record["at"],
            "tenant": clean(record["tenant"]),
            "model": clean(record["model"]),
            "severity": record["severity"],
            "code": record["codes"][0],
            "hazard": clean(record["hazard"]),
            "reason": clean(record.get("reason", "")),
            "text": None if record.get("text") is None else ascii_json(record["text"]),
            "state": "new",
        }
        for place, record in enumerate(grave, 1)
    ]
    if rows:
        connection.execute(insert(incidents), rows)


def _watch(connection: Connection, finished: Sequence[dict[str, Any]], policy: WatchPolicy) -> None:
    if not policy.drift.baselines or not finished:
        return
    watched = load_monitors(connection, policy)
    raised = drift.feed(watched.values(), finished)
    for monitor in watched.values():
        state = ascii_json(monitor.to_json())
        where = monitors.c.name == monitor.name
        if connection.execute(update(monitors).where(where).values(state=state)).rowcount == 0:
            connection.execute(insert(monitors).values(name=monitor.name, state=state))
    for monitor in raised:
        words = f"rate of {monitor.name} is above {monitor.limit:.4g} (now {monitor.rate:.4g} of {monitor.n})"
        alarms.raise_alarm(connection, "drift", monitor.name, words, monitor.to_json(), now())
