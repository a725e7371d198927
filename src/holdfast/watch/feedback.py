"""The way back: incidents become review items; confirmed ones prompts and proposed examples.

The private suite is versioned by its content: a new file per version, none changed. A proposed
safety example is a request with an empty answer for `holdfast mix` to have the base model answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from holdfast.conversation import Conversation, Message
from holdfast.files import digest_value, to_json, write_bytes
from holdfast.review import NewItem, Store, import_items
from holdfast.review.schema import items
from holdfast.watch.schema import incidents

_CHUNK = 500


def send_incidents(store: Store, *, reviewers: int = 1) -> int:
    """Make a review item of every new incident whose text was kept; returns how many."""
    sent = 0
    while True:
        query = select(incidents).where(incidents.c.state == "new").order_by(incidents.c.id).limit(_CHUNK)
        with store.read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            return sent
        new = [_item(row) for row in rows if row["text"]]
        numbers = [row["id"] for row in rows]
        # Import first: after a crash in between the same digest imports nothing twice.
        if new:
            digest = digest_value(["incidents", [row["exchange"] for row in rows]])
            name = f"incidents {rows[0]['at'][:10]}"
            sent += import_items(
                store, new, name=name, kind="watch", digest=digest, reviewers=reviewers
            ).added
        with store.write() as connection:
            connection.execute(update(incidents).where(incidents.c.id.in_(numbers)).values(state="review"))


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the confirmed incidents gave.

    Attributes:
        suite: The suite file of this version, or None without a confirmed incident.
        examples: The file of proposed safety examples.
        prompts: How many prompts the suite has.
        version: Its version, from its content.
    """

    suite: Path | None
    examples: Path | None
    prompts: int
    version: str


def confirmed_suite(store: Store, folder: str | Path) -> Confirmed:
    """Write the private suite and the proposed examples from all incidents labelled harmful.

    Args:
        store: Where incidents were reviewed.
        folder: Gets `private-VERSION.jsonl`, `examples-VERSION.jsonl` and `private.json`, which
            names the newest version; `holdfast run` reads that.

    Raises:
        RunError: The folder cannot be written.
    """
    query = (
        select(items.c.key, items.c.messages, items.c.findings)
        .where(items.c.kind == "watch", items.c.state == "decided", items.c.label == "harmful")
        .order_by(items.c.id)
    )
    prompts: dict[str, dict[str, Any]] = {}
    with store.read() as connection:
        for row in connection.execute(query):
            prompt = _prompt(row.key, json.loads(row.messages)["messages"], json.loads(row.findings))
            prompts.setdefault(digest_value(prompt["turns"]), prompt)
    if not prompts:
        return Confirmed(None, None, 0, "")
    rows = list(prompts.values())
    version = digest_value(rows)[:12]
    root = Path(folder)
    suite, examples = root / f"private-{version}.jsonl", root / f"examples-{version}.jsonl"
    write_bytes(suite, b"".join(to_json(row) + b"\n" for row in rows))
    write_bytes(examples, b"".join(to_json(_example(row)) + b"\n" for row in rows))
    newest = {"version": version, "suite": suite.name, "examples": examples.name, "prompts": len(rows)}
    write_bytes(root / "private.json", to_json(newest, indent=True) + b"\n")
    return Confirmed(suite, examples, len(rows), version)


def _item(row: dict[str, Any]) -> NewItem:
    text = json.loads(row["text"])
    messages = [Message(role, content) for role, content in text["messages"]]
    messages.append(Message("assistant", text["answer"]))
    raw = f"{row['exchange']}\n{row['text']}".encode()
    source = f"{row['tenant']}/{row['model']}"
    findings = text["findings"] or [
        {"code": row["code"], "severity": row["severity"], "score": 1.0, "reason": row["reason"]}
    ]
    return NewItem(
        Conversation(tuple(messages), source, row["id"], raw),
        tuple(f | {"hazard": row["hazard"]} for f in findings),
    )


def _prompt(key: str, turns: list[dict[str, Any]], findings: list[dict[str, Any]]) -> dict[str, Any]:
    """One prompt of the suite: the turns up to the answer; the answer itself is left behind."""
    asked = turns[:-1] if turns and turns[-1]["role"] == "assistant" else turns
    hazard = next((f["hazard"] for f in findings if f.get("hazard")), "")
    return {
        "id": f"watch-{key[:12]}",
        "prompt": next((t["content"] for t in reversed(asked) if t["role"] == "user"), ""),
        "system": "\n".join(t["content"] for t in asked if t["role"] == "system"),
        "turns": [{"role": t["role"], "content": t["content"]} for t in asked],
        "hazard": hazard,
        "expect": "refuse",
    }


def _example(prompt: dict[str, Any]) -> dict[str, Any]:
    return {"messages": prompt["turns"], "expect": "refuse", "hazard": prompt["hazard"], "from": prompt["id"]}
