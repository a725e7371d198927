"""Tables of the watch, in the same database as the review's. Times are ISO 8601 text in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text

if TYPE_CHECKING:
    from holdfast.review import Store

metadata = MetaData()

exchanges = Table(
    "watch_exchanges",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("state", Text, nullable=False),  # accepted, done, blocked, cut, error, gone
    Column("request_sha", Text, nullable=False),
    Column("answer_sha", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("codes", Text, nullable=False),  # JSON list
    Column("outcome", Text, nullable=False),
    Column("refused", Integer),
    Column("hazard", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("unscreened", Text, nullable=False),  # why something was not looked at, or empty
    Column("added_ms", Float, nullable=False),
    Column("upstream_ms", Float, nullable=False),
    Column("text", Text),  # JSON of the sampled turns, or NULL
)
Index("watch_exchanges_at", exchanges.c.at)
Index("watch_exchanges_state", exchanges.c.state)

minutes = Table(
    "watch_minutes",
    metadata,
    Column("minute", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("harmful", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("judged", BigInteger, nullable=False),
    Column("stopped", BigInteger, nullable=False),  # blocked or replaced
    Column("unscreened", BigInteger, nullable=False),
    Column("added_ms", Float, nullable=False),  # summed
)

incidents = Table(
    "watch_incidents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("exchange", Text, nullable=False, unique=True),
    Column("at", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("hazard", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("text", Text),  # JSON of the turns and findings, for review
    Column("state", Text, nullable=False),  # new, review
)
Index("watch_incidents_state", incidents.c.state, incidents.c.id)

monitors = Table(
    "watch_monitors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),  # JSON of drift.Monitor
)

alarms = Table(
    "watch_alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),  # drift, canary, due
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Column("sent", Integer, nullable=False),
)

offsets = Table(
    "watch_offsets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("head", Text, nullable=False),  # digest of the file's beginning: another file starts anew
)

canaries = Table(
    "watch_canaries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
)

schedule = Table(
    "watch_schedule",
    metadata,
    Column("name", Text, primary_key=True),
    Column("every_days", Integer, nullable=False),
    Column("last", Text, nullable=False),
    Column("due", Text, nullable=False),
)


def prepare(store: Store) -> Store:
    """Build or upgrade the watch tables of a store; returns the store."""
    from holdfast.review.store import migrate

    with store.write() as connection:
        migrate(connection, "holdfast.watch:migrations", "watch_version")
    return store
