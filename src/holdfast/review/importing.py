"""Into the store: the review rows of a screen, the blinded flips of an audit, watch incidents."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, text

from holdfast.conversation import Conversation, Message
from holdfast.review.cluster import Clusters
from holdfast.review.schema import batches, chain, item_codes, item_signatures, items
from holdfast.review.store import Store, now
from holdfast.review.texts import ascii_json, clean, row_key, seen_digest

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CHUNK = 5000
_GRAVITY = {"block": 2, "review": 1, "note": 0}
_SEARCHED = 20_000  # characters of a conversation in the full-text index


@dataclass(frozen=True, slots=True)
class NewItem:
    """One thing to decide: a conversation and why it is here (Finding fields as dicts)."""

    conversation: Conversation
    findings: tuple[Mapping[str, Any], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: `added` new items; `known` were there from an earlier, equal import."""

    batch: int
    added: int
    known: int


def import_items(
    store: Store, new: Iterable[NewItem], *, name: str, kind: str, digest: str, reviewers: int = 1
) -> Imported:
    """Add a batch of items, in chunks that are each kept whole; importing the same again is a no-op.

    Args:
        store: Where to.
        new: The items, in file order.
        name: Shown to reviewers.
        kind: `screen`, `audit` or `watch`.
        digest: Identity of the input; an interrupted import of the same input goes on where it was.
        reviewers: How many people must agree before an item counts as decided.
    """
    batch, done = _batch(store, name, kind, digest, reviewers)
    clusters, number, added = Clusters(), 0, 0
    stream = iter(new)
    while chunk := list(itertools.islice(stream, _CHUNK)):
        fresh = chunk[max(0, done - number) :]
        number += len(chunk)
        if fresh:
            with store.write() as connection:
                _insert(connection, batch, kind, fresh, clusters)
            added += len(fresh)
    return Imported(batch, added, number - added)


def _batch(store: Store, name: str, kind: str, digest: str, reviewers: int) -> tuple[int, int]:
    with store.write() as connection:
        found = connection.execute(select(batches.c.id).where(batches.c.digest == digest)).scalar()
        if found is None:
            found = (connection.execute(select(func.max(batches.c.id))).scalar() or 0) + 1
            values = {
                "id": found,
                "name": clean(name),
                "kind": kind,
                "digest": digest,
                "reviewers": reviewers,
            }
            connection.execute(insert(batches).values(**values, at=now()))
        query = select(func.count()).select_from(items).where(items.c.batch == found)
        return found, connection.execute(query).scalar_one()


def _insert(connection: Connection, batch: int, kind: str, new: list[NewItem], clusters: Clusters) -> None:
    # One importer at a time gives out ids (PostgreSQL; SQLite's write lock does the same).
    connection.execute(select(chain.c.seq).with_for_update())
    first = (connection.execute(select(func.max(items.c.id))).scalar() or 0) + 1
    # What this import does not know yet: earlier imports, and others that run beside it.
    known = select(item_signatures.c.item, item_signatures.c.hashes).order_by(item_signatures.c.item)
    clusters.extend(connection.execute(known.where(item_signatures.c.item > clusters.last)).tuples())
    rows, codes, texts, firsts = [], [], [], []
    for item, entry in enumerate(new, first):
        body = _text(entry.conversation)
        signature = clusters.signature(body)
        cluster = clusters.add(item, signature)
        if cluster == item:
            firsts.append({"item": item, "hashes": signature})
        row = _row(item, entry) | {"batch": batch, "kind": kind, "cluster": cluster}
        rows.append(row)
        texts.append({"item": item, "text": body[:_SEARCHED]})
        for code in dict.fromkeys(f["code"] for f in json.loads(row["findings"])):
            codes.append({"code": code, "state": "open", "rank": row["rank"], "item": item})
    connection.execute(insert(items), rows)
    if firsts:
        connection.execute(insert(item_signatures), firsts)
    if codes:
        connection.execute(insert(item_codes), codes)
    value = ":text" if connection.dialect.name == "sqlite" else "to_tsvector('simple', :text)"
    column = "text" if connection.dialect.name == "sqlite" else "words"
    connection.execute(text(f"INSERT INTO item_text (rowid, {column}) VALUES (:item, {value})"), texts)


def _row(item: int, entry: NewItem) -> dict[str, Any]:
    row = entry.conversation
    findings = sorted(entry.findings, key=lambda f: -_gravity(f))
    gravest = findings[0] if findings else {}
    messages = ascii_json({"messages": _turns(row.messages), "rejected": _turns(row.rejected)})
    shown = ascii_json([clean(dict(finding)) for finding in findings])
    raw = row.raw or messages.encode()
    key = row_key(raw)
    severity = str(gravest.get("severity", "review"))
    priority = int(_gravity(gravest) * 1000) if gravest else 1000
    return {
        "id": item,
        "source": clean(row.source),
        "line": row.line,
        "key": key,
        "raw": raw,
        "start": " ".join(str(clean(row.last_user or _text(row)))[:400].split())[:160],
        "messages": messages,
        "findings": shown,
        "seen": seen_digest(key, messages, shown),
        "code": str(gravest.get("code", "")),
        "severity": severity,
        "score": float(gravest.get("score", 0.0)),
        "rank": ((4000 - priority) << 40) | item,
        "state": "open",
    }


def _gravity(finding: Mapping[str, Any]) -> float:
    return _GRAVITY.get(str(finding.get("severity")), 0) + 0.999 * min(max(float(finding["score"]), 0.0), 1.0)


def _turns(messages: Iterable[Message]) -> list[Any]:
    return [
        {"role": m.role, "content": m.content}
        | ({"name": m.name} if m.name else {})
        | ({"weight": m.weight} if m.weight != 1.0 else {})
        | ({"tool_calls": list(m.tool_calls)} if m.tool_calls else {})
        for m in messages
    ]


def _text(row: Conversation) -> str:
    return str(clean("\n".join(m.content for m in (*row.messages, *row.rejected))))
