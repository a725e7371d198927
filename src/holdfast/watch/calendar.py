"""Re-audits with due dates: what is to be audited again, how often, and what is overdue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from holdfast.errors import InputError
from holdfast.review import Store
from holdfast.review.store import now
from holdfast.watch.alarms import raise_alarm
from holdfast.watch.schema import alarms, schedule


def plan(store: Store, name: str, every_days: int, *, last: str = "") -> str:
    """Put a re-audit on the calendar, or change it; returns the due date (ISO 8601).

    Args:
        store: The store.
        name: What is audited, in the team's words.
        every_days: How often.
        last: When it was done last (ISO 8601); now by default.

    Raises:
        InputError: Less than a day, or `last` is not a date.
    """
    if every_days < 1:
        raise InputError("a re-audit is due at most once a day")
    last = last or now()
    due = _after(last, every_days)
    values = {"every_days": every_days, "last": last, "due": due}
    with store.write() as connection:
        where = schedule.c.name == name
        if connection.execute(update(schedule).where(where).values(**values)).rowcount == 0:
            connection.execute(insert(schedule).values(name=name, **values))
    return due


def done(store: Store, name: str) -> str:
    """Note that it was audited now; returns the next due date.

    Raises:
        InputError: It is not on the calendar.
    """
    with store.read() as connection:
        every = connection.execute(select(schedule.c.every_days).where(schedule.c.name == name)).scalar()
    if every is None:
        raise InputError(f"'{name}' is not on the calendar", fix="add it with --every DAYS")
    return plan(store, name, every)


def forget(store: Store, name: str) -> None:
    """Take a re-audit off the calendar."""
    with store.write() as connection:
        connection.execute(delete(schedule).where(schedule.c.name == name))


def overdue(store: Store) -> list[dict[str, Any]]:
    """Everything on the calendar with whether it is overdue, the most urgent first."""
    today = now()
    with store.read() as connection:
        rows = connection.execute(select(schedule).order_by(schedule.c.due)).mappings()
        return [dict(row) | {"overdue": row["due"] < today} for row in rows]


def remind(store: Store) -> int:
    """Raise one alarm for each re-audit that became overdue; returns how many."""
    raised = 0
    for entry in overdue(store):
        if not entry["overdue"]:
            continue
        with store.write() as connection:
            known = select(alarms.c.id).where(
                alarms.c.kind == "due", alarms.c.name == entry["name"], alarms.c.at >= entry["due"]
            )
            if connection.execute(known.limit(1)).scalar() is None:
                words = f"the re-audit of {entry['name']} was due on {entry['due'][:10]}"
                raise_alarm(connection, "due", entry["name"], words, {"due": entry["due"]}, now())
                raised += 1
    return raised


def _after(last: str, days: int) -> str:
    try:
        start = datetime.fromisoformat(last)
    except ValueError:
        raise InputError(f"'{last}' is not a date", fix="write it as 2026-01-31") from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    return (start + timedelta(days=days)).astimezone(UTC).isoformat(timespec="microseconds")
