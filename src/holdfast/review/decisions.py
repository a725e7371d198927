"""Decisions: appended, never changed, each bound to the one before by its hash.

The standing state of an item (`votes`, `items.state`) is a projection of the decisions, written
in the same transaction; `holdfast.review.verify` recomputes it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from holdfast.errors import InputError
from holdfast.files import to_json
from holdfast.review.choice import ANSWERS, Choice
from holdfast.review.schema import batches, chain, decisions, item_codes, items, votes
from holdfast.review.store import Store, now
from holdfast.review.texts import clean

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row


def decide(store: Store, item: int, who: str, choice: Choice, *, seen: str | None = None) -> int:
    """Append one decision and return its sequence number.

    Args:
        store: The store.
        item: The item's id.
        who: The reviewer.
        choice: The decision.
        seen: Digest of what the reviewer was shown; None takes the item as it stands.

    Raises:
        InputError: No such item, a bad choice, or the item is not what was shown.
    """
    choice = choice.checked()
    with store.write() as connection:
        found = _items(connection, [item])
        if seen is not None and found[0].seen != seen:
            raise InputError(f"item {item} is not what you were shown", fix="look at it again")
        return _append(connection, found, who, choice, bulk="")


def decide_many(store: Store, item_ids: Sequence[int], who: str, choice: Choice, *, chunk: int = 2000) -> str:
    """Append one decision per item, undone together by the bulk id that is returned."""
    if choice.action == "edit":
        raise InputError("an edit concerns one item", fix="edit items one by one")
    choice, bulk = choice.checked(), secrets.token_hex(8)
    for start in range(0, len(item_ids), chunk):
        with store.write() as connection:
            _append(connection, _items(connection, item_ids[start : start + chunk]), who, choice, bulk=bulk)
    return bulk


def undo(store: Store, who: str, *, seq: int = 0, bulk: str = "", any_user: bool = False) -> list[int]:
    """Take back one decision, or all of a bulk action, by appending undo records.

    Returns the items concerned; decisions that were already taken back are left alone.

    Raises:
        InputError: No such decision, or it is somebody else's and `any_user` is false.
    """
    where = decisions.c.bulk == bulk if bulk else decisions.c.seq == seq
    with store.write() as connection:
        _lock(connection)
        rows = connection.execute(
            select(decisions).where(where, decisions.c.action != "undo").order_by(decisions.c.seq)
        ).all()
        if not rows:
            raise InputError("no such decision to undo")
        if not any_user and any(row.who != who for row in rows):
            raise InputError("this is somebody else's decision", fix="ask a lead to undo it")
        undone = _undone(connection, [row.seq for row in rows])
        rows = [row for row in rows if row.seq not in undone]
        found = {row.id: row for row in _items(connection, sorted({row.item for row in rows}))}
        for row in rows:
            note = Choice("undo", row.label, "", f"undo of decision {row.seq}")
            _append(connection, [found[row.item]], who, note, bulk="", undoes=row)
        return sorted(found)


def link(record: Mapping[str, Any]) -> str:
    """The hash of a decision: SHA-256 of its canonical JSON, which names the previous hash."""
    return hashlib.sha256(to_json({k: v for k, v in record.items() if k != "hash"})).hexdigest()


def standing(cast: Sequence[Mapping[str, Any]], needed: int) -> tuple[str, Mapping[str, Any] | None]:
    """State of an item and the vote that stands, from the votes cast on it (oldest first)."""
    final = [vote for vote in cast if vote["final"]]
    if final:
        return "decided", final[-1]
    if len({(vote["action"], vote["label"], vote["edited"]) for vote in cast}) > 1:
        return "disputed", None
    return ("decided", cast[-1]) if len(cast) >= needed else ("open", None)


def _append(
    connection: Connection,
    found: Sequence[Row[Any]],
    who: str,
    choice: Choice,
    *,
    bulk: str,
    undoes: Row[Any] | None = None,
) -> int:
    _check_labels(found, choice)
    seq, head = _lock(connection)
    at, records = now(), []
    for item in found:
        seq += 1
        record = {
            "seq": seq,
            "item": item.id,
            "key": item.key,
            "who": clean(who),
            "at": at,
            "action": choice.action,
            "label": choice.label,
            "edited": choice.edited or None,
            "why": choice.why,
            "seen": item.seen,
            "bulk": bulk,
            "undoes": undoes.seq if undoes is not None else 0,
            "final": int(choice.final),
            "previous": head,
        }
        head = record["hash"] = link(record)
        records.append(record)
    if not records:
        return seq
    connection.execute(insert(decisions), records)
    connection.execute(update(chain).values(seq=seq, head=head))
    _project(connection, found, who if undoes is None else undoes.who)
    return seq


def _check_labels(found: Sequence[Row[Any]], choice: Choice) -> None:
    """An audit asks a question about each answer; other items are not answers to a question."""
    for item in found:
        if choice.action != "undo" and (item.kind == "audit") != (choice.label in ANSWERS):
            audit, what = item.kind == "audit", f"'{choice.label}' is no label for item {item.id}"
            fix = f"relabel it {', '.join(ANSWERS)}" if audit else "one of safe, harmful, refusal, ..."
            raise InputError(what, fix=fix)


def _project(connection: Connection, found: Sequence[Row[Any]], who: str) -> None:
    """Rewrite this person's vote on the items, then the items' state, from the decisions."""
    ids = [item.id for item in found]
    mine = connection.execute(
        select(decisions).where(decisions.c.item.in_(ids)).order_by(decisions.c.seq)
    ).all()
    undone = {row.undoes for row in mine if row.undoes}
    last = {
        row.item: row for row in mine if row.who == who and row.action != "undo" and row.seq not in undone
    }
    connection.execute(delete(votes).where(votes.c.item.in_(ids), votes.c.who == who))
    if last:
        connection.execute(insert(votes), [_vote(row) for row in last.values()])
    needed = dict(connection.execute(select(batches.c.id, batches.c.reviewers)).tuples().all())
    cast: dict[int, list[Mapping[str, Any]]] = {item: [] for item in ids}
    query = select(votes).where(votes.c.item.in_(ids)).order_by(votes.c.seq)
    for vote in connection.execute(query).mappings():
        cast[vote["item"]].append(dict(vote))
    changes: dict[tuple[str, str | None, str | None], list[int]] = {}
    for item in found:
        state, stands = standing(cast[item.id], needed[item.batch])
        outcome = (state, stands["action"] if stands else None, stands["label"] if stands else None)
        changes.setdefault(outcome, []).append(item.id)
    for (state, action, label), group in changes.items():
        values = {"state": state, "outcome": action, "label": label}
        connection.execute(update(items).where(items.c.id.in_(group)).values(**values))
        connection.execute(update(item_codes).where(item_codes.c.item.in_(group)).values(state=state))


def _vote(row: Row[Any]) -> dict[str, Any]:
    return {
        "item": row.item,
        "who": row.who,
        "seq": row.seq,
        "action": row.action,
        "label": row.label,
        "edited": row.edited or "",
        "final": row.final,
    }


def _lock(connection: Connection) -> tuple[int, str]:
    """Hold the chain's end until the transaction is over."""
    row = connection.execute(select(chain.c.seq, chain.c.head).with_for_update()).one()
    return row.seq, row.head


def _items(connection: Connection, ids: Sequence[int]) -> Sequence[Row[Any]]:
    columns: list[Any] = [items.c.id, items.c.key, items.c.seen, items.c.batch, items.c.kind]
    found = connection.execute(select(*columns).where(items.c.id.in_(ids)).order_by(items.c.id)).all()
    if len(found) != len(set(ids)):
        missing = sorted(set(ids) - {row.id for row in found})
        raise InputError(f"no such item: {missing[0]}")
    return found


def _undone(connection: Connection, seqs: list[int]) -> set[int]:
    query = select(decisions.c.undoes).where(decisions.c.undoes.in_(seqs))
    return set(connection.execute(query).scalars())
