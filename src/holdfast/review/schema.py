"""The store's tables (SQLAlchemy Core). Migrations build them; queries and writes use them.

Times are ISO 8601 text in UTC, so that they sort, hash and read the same in every database.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # screen, audit, watch
    Column("digest", Text, nullable=False, unique=True),  # of the imported file: import once
    Column("reviewers", Integer, nullable=False),  # people who must agree on an item
    Column("at", Text, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("batch", Integer, ForeignKey("batches.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("key", Text, nullable=False),  # SHA-256 of the raw row: joins decisions and files
    Column("raw", LargeBinary, nullable=False),
    Column("start", Text, nullable=False),  # of the first user turn, for lists
    Column("messages", Text, nullable=False),  # JSON (ASCII, so lone surrogates and NUL survive)
    Column("findings", Text, nullable=False),  # JSON list
    Column("seen", Text, nullable=False),  # digest of what a reviewer is shown
    Column("code", Text, nullable=False),  # gravest finding's rule
    Column("severity", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("cluster", BigInteger, nullable=False),  # id of the first near duplicate
    Column("rank", BigInteger, nullable=False, unique=True),  # the queue's order, gravest first
    Column("state", Text, nullable=False),  # open, disputed, decided
    Column("outcome", Text),  # action of the standing decision
    Column("label", Text),
    Column("assignee", Text),
)
Index("items_state", items.c.state, items.c.rank)
Index("items_kind", items.c.kind, items.c.state, items.c.rank)
Index("items_kind_any", items.c.kind, items.c.rank)
Index("items_cluster", items.c.cluster, items.c.rank)
Index("items_assignee", items.c.assignee, items.c.state, items.c.rank)
Index("items_batch", items.c.batch, items.c.line)
Index("items_key", items.c.key)

item_codes = Table(
    "item_codes",
    metadata,
    Column("code", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("item", BigInteger, ForeignKey("items.id"), primary_key=True),
)
Index("item_codes_queue", item_codes.c.code, item_codes.c.state, item_codes.c.rank)
Index("item_codes_any", item_codes.c.code, item_codes.c.rank)
Index("item_codes_item", item_codes.c.item)

item_signatures = Table(
    "item_signatures",
    metadata,
    # Of the first item of each cluster: later near duplicates find it here.
    Column("item", BigInteger, ForeignKey("items.id"), primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("item", BigInteger, ForeignKey("items.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("action", Text, nullable=False),  # keep, drop, edit, relabel, undo
    Column("label", Text, nullable=False),
    Column("edited", Text),  # the new row as JSON text
    Column("why", Text, nullable=False),
    Column("seen", Text, nullable=False),
    Column("bulk", Text, nullable=False),  # shared by the decisions of one bulk action
    Column("undoes", BigInteger, nullable=False),  # seq that an undo takes back, else 0
    Column("final", Integer, nullable=False),  # 1: a lead settles a disputed item
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
Index("decisions_item", decisions.c.item, decisions.c.seq)
Index("decisions_who", decisions.c.who, decisions.c.at)
Index("decisions_bulk", decisions.c.bulk)

chain = Table(
    "chain",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("head", Text, nullable=False),
)

votes = Table(
    "votes",
    metadata,
    Column("item", BigInteger, ForeignKey("items.id"), primary_key=True),
    Column("who", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("edited", Text, nullable=False),
    Column("final", Integer, nullable=False),
)

comments = Table(
    "comments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item", BigInteger, ForeignKey("items.id"), nullable=False),
    Column("who", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("text", Text, nullable=False),
)
Index("comments_item", comments.c.item)

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password", Text),  # argon2 hash; NULL: single sign-on or local only
    Column("disabled", Integer, nullable=False),
    Column("at", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", Text, primary_key=True),  # SHA-256 of the cookie
    Column("who", Text, ForeignKey("users.name"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("expires", Text, nullable=False),
)
