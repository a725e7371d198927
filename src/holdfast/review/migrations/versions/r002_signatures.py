"""Signatures of the first item of each cluster, so that near duplicates are found across imports."""

import json

from alembic import op
from sqlalchemy import select

from holdfast.review.cluster import Clusters
from holdfast.review.schema import item_signatures, items

revision = "r002"
down_revision = "r001"


def upgrade() -> None:
    """Build the table and fill it for items that are there."""
    connection = op.get_bind()
    item_signatures.create(connection, checkfirst=True)
    clusters, last = None, 0
    while True:
        query = select(items.c.id, items.c.messages).where(items.c.id == items.c.cluster, items.c.id > last)
        rows = connection.execute(query.order_by(items.c.id).limit(2000)).all()
        if not rows:
            return
        clusters = clusters or Clusters()
        values = [{"item": row.id, "hashes": clusters.signature(_text(row.messages))} for row in rows]
        connection.execute(item_signatures.insert(), values)
        last = rows[-1].id


def _text(messages: str) -> str:
    turns = json.loads(messages)
    return "\n".join(turn["content"] for turn in (*turns["messages"], *turns["rejected"]))
