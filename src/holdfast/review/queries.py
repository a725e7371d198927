"""Reading the queue: filters, pages, the next item, neighbours, counts; all by index."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, exists, func, literal_column, select, text

from holdfast.errors import InputError
from holdfast.review.schema import batches, comments, decisions, item_codes, items, votes
from holdfast.review.texts import clean

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

_LIST = (
    items.c.id,
    items.c.kind,
    items.c.source,
    items.c.line,
    items.c.code,
    items.c.severity,
    items.c.score,
    items.c.cluster,
    items.c.rank,
    items.c.state,
    items.c.outcome,
    items.c.assignee,
    items.c.start,
)
_MATCHES = 2000  # a text search looks at this many matching items at most


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items: empty fields do not filter.

    Attributes:
        state: `open`, `disputed`, `decided`, or empty for all.
        kind: `screen`, `audit` or `watch`.
        code: A rule that has a finding on the item.
        cluster: Near duplicates of this item id.
        assignee: Whose items.
        text: Words that the conversation holds, all of them.
        without: Leave out items that this person has already voted on.
    """

    state: str = "open"
    kind: str = ""
    code: str = ""
    cluster: int = 0
    assignee: str = ""
    text: str = ""
    without: str = ""

    def params(self) -> dict[str, str]:
        """The fields that are set, as URL parameters."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "without"}
        return {k: str(v) for k, v in values.items() if v or k == "state"}


def page(connection: Connection, which: Filter, *, after: int = 0, size: int = 50) -> list[dict[str, Any]]:
    """Up to `size` items after rank `after`, gravest first, with the start of their first turn."""
    rows = connection.execute(_query(connection, which, after, *_LIST).limit(size)).mappings()
    return [dict(row) for row in rows]


def ids(connection: Connection, which: Filter, limit: int = 1_000_000) -> list[int]:
    """The ids of all items that match, gravest first."""
    return list(connection.execute(_query(connection, which, 0, items.c.id).limit(limit)).scalars())


def next_id(connection: Connection, which: Filter, *, after: int = 0) -> int | None:
    """The first item after rank `after`, or None."""
    return connection.execute(_query(connection, which, after, items.c.id).limit(1)).scalar()


def count(connection: Connection, which: Filter, limit: int = 1000) -> int:
    """How many items match, counted up to `limit`."""
    inner = _query(connection, which, 0, items.c.id).order_by(None).limit(limit).subquery()
    return connection.execute(select(func.count()).select_from(inner)).scalar_one()


def cut(connection: Connection, which: Filter) -> int:
    """How many matches a search was limited to, in the order of import; 0 when it saw them all."""
    if not which.text:
        return 0
    words = str(clean(which.text))
    inner = _matches(connection.dialect.name, words, _MATCHES + 1).subquery()
    found = connection.execute(select(func.count()).select_from(inner)).scalar_one()
    return _MATCHES if found > _MATCHES else 0


def one(connection: Connection, item: int) -> dict[str, Any]:
    """Everything about one item.

    Raises:
        InputError: No such item.
    """
    query = select(items, batches.c.reviewers, batches.c.name.label("batch_name")).join(batches)
    row = connection.execute(query.where(items.c.id == item)).mappings().one_or_none()
    if row is None:
        raise InputError(f"no such item: {item}")
    turns = json.loads(row["messages"])
    history = connection.execute(
        select(decisions).where(decisions.c.item == item).order_by(decisions.c.seq)
    ).mappings()
    notes = connection.execute(
        select(comments).where(comments.c.item == item).order_by(comments.c.id)
    ).mappings()
    return dict(row) | {
        "messages": turns["messages"],
        "rejected": turns["rejected"],
        "findings": json.loads(row["findings"]),
        "history": [dict(entry) for entry in history],
        "comments": [dict(note) for note in notes],
    }


def neighbours(connection: Connection, item: dict[str, Any], size: int = 5) -> dict[str, Any]:
    """Near duplicates, items with the same gravest rule, and equal rows elsewhere."""
    near = Filter(state="", cluster=item["cluster"])
    same = Filter(state="open", code=item["code"])
    equal = select(*_LIST).where(items.c.key == item["key"], items.c.id != item["id"]).limit(size)
    return {
        "near": [row for row in page(connection, near, size=size + 1) if row["id"] != item["id"]][:size],
        "near_count": count(connection, near) - 1,
        "same_rule": [
            row
            for row in (page(connection, same, size=size + 1) if item["code"] else [])
            if row["id"] != item["id"]
        ][:size],
        "same_rule_count": count(connection, same) if item["code"] else 0,
        "equal": [dict(row) for row in connection.execute(equal).mappings()],
    }


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts by state, by outcome, by rule; decisions per hour of each reviewer in the last hour."""

    states: dict[str, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    rates: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All items."""
        return sum(self.states.values())

    @property
    def hours_left(self) -> float | None:
        """Hours until nothing is open at the rate of the last hour; None without a rate."""
        rate = sum(self.rates.values())
        return self.states.get("open", 0) / rate if rate else None


def progress(connection: Connection) -> Progress:
    """Count everything (an index scan: cache it for a page that is shown often)."""
    states = connection.execute(select(items.c.state, func.count()).group_by(items.c.state)).tuples().all()
    codes = connection.execute(
        select(item_codes.c.code, func.count())
        .where(item_codes.c.state == "open")
        .group_by(item_codes.c.code)
        .order_by(func.count().desc())
    ).tuples()
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    rates = connection.execute(
        select(decisions.c.who, func.count())
        .where(decisions.c.at >= since, decisions.c.action != "undo")
        .group_by(decisions.c.who)
    ).tuples()
    return Progress(dict(states), dict(codes.all()), dict(rates.all()))


def _query(connection: Connection, which: Filter, after: int, *columns: Any) -> Select[Any]:
    which = replace(which, **clean(which.params()) | {"cluster": which.cluster})

    def column(name: str) -> ColumnElement[Any]:
        # A search has its items by id already: no other index may lead the query, however well it sorts.
        found = items.c[name]
        return func.coalesce(found, found) if which.text else found

    conditions: list[ColumnElement[bool]] = []
    if which.kind:
        conditions.append(column("kind") == which.kind)
    if which.cluster:
        conditions.append(column("cluster") == which.cluster)
    if which.assignee:
        conditions.append(column("assignee") == which.assignee)
    if which.without:
        voted = exists().where(votes.c.item == items.c.id, votes.c.who == which.without)
        conditions.append(~voted)
    query, state, rank = select(*columns), column("state"), column("rank")
    if which.text:
        conditions.append(items.c.id.in_(_matches(connection.dialect.name, which.text)))
    if which.code and which.text:
        has = exists().where(item_codes.c.item == items.c.id, item_codes.c.code == which.code)
        conditions.append(has)
    elif which.code:
        # The join's own copy of state and rank gives the queue's order without a sort.
        query = query.join(item_codes, item_codes.c.item == items.c.id)
        conditions.append(item_codes.c.code == which.code)
        state, rank = item_codes.c.state, item_codes.c.rank
    if which.state:
        conditions.append(state == which.state)
    if after:
        conditions.append(rank > after)
    return query.where(and_(True, *conditions)).order_by(rank)


def _matches(dialect: str, words: str, limit: int = _MATCHES) -> Select[Any]:
    """Ids of items that hold all the words; the words are data, never query syntax."""
    if dialect == "sqlite":
        value = " ".join('"' + word.replace('"', '""') + '"' for word in words.split()) or '""'
        where = "item_text MATCH :words"
    else:
        value, where = words, "words @@ plainto_tsquery('simple', :words)"
    query: Select[Any] = select(literal_column("rowid")).select_from(text("item_text"))
    return query.where(text(where).bindparams(bindparam("words", value))).limit(limit)
