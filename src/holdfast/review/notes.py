"""Comments on items, and whose turn an item is."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, insert, select, update

from holdfast.errors import InputError
from holdfast.review.schema import comments, items
from holdfast.review.store import Store, now
from holdfast.review.texts import clean

_CHUNK = 5000


def comment(store: Store, item: int, who: str, text: str) -> None:
    """Add a comment.

    Raises:
        InputError: It is empty, or there is no such item.
    """
    text = str(clean(text)).strip()[:4000]
    if not text:
        raise InputError("an empty comment")
    with store.write() as connection:
        if connection.execute(select(items.c.id).where(items.c.id == item)).scalar() is None:
            raise InputError(f"no such item: {item}")
        number = (connection.execute(select(func.max(comments.c.id))).scalar() or 0) + 1
        values = {"id": number, "item": item, "who": clean(who), "at": now(), "text": text}
        connection.execute(insert(comments).values(**values))


def assign(store: Store, item_ids: Sequence[int], who: str | None) -> None:
    """Make items somebody's, or nobody's."""
    for start in range(0, len(item_ids), _CHUNK):
        part = item_ids[start : start + _CHUNK]
        with store.write() as connection:
            statement = update(items).where(items.c.id.in_(part))
            connection.execute(statement.values(assignee=clean(who) if who else None))
