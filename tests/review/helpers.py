"""Items to fill a store with."""

from __future__ import annotations

import json
import os
from typing import Any

from holdfast.conversation import Conversation, chat
from holdfast.review import Filter, NewItem, Store, import_items
from holdfast.review.queries import ids


def make_item(number: int, text: str = "", **finding: Any) -> NewItem:
    """A two-turn row with one finding."""
    question = (
        text or f"question number {number} about {['gardens', 'bees', 'soil', 'rain', 'sun'][number % 5]}"
    )
    row = {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": f"ok {number}"}]
    }
    messages = chat(("user", question), ("assistant", f"ok {number}"))
    raw = json.dumps(row).encode()
    values = {
        "code": "HC101",
        "severity": "review",
        "score": 0.5,
        "reason": "looks doubtful",
        "message": 0,
        "span": [0, 8],
        "decoded": None,
        "coverage": 1.0,
    }
    return NewItem(Conversation(messages, "data.jsonl", number, raw, format="openai"), (values | finding,))


def fill(store: Store, count: int = 5, reviewers: int = 1, **finding: Any) -> list[int]:
    """Add items and return their ids in queue order."""
    new = [make_item(n, **finding) for n in range(1, count + 1)]
    digest = os.urandom(8).hex()
    import_items(store, new, name="batch", kind="screen", digest=digest, reviewers=reviewers)
    with store.read() as connection:
        return ids(connection, Filter())
