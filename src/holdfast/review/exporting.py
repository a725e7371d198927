"""Out of the store: the rows people kept, labels for calibration, the audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from holdfast.files import atomic_writer, to_json, write_json
from holdfast.review.alpha import agreement
from holdfast.review.applying import resolve
from holdfast.review.schema import decisions, items, votes
from holdfast.review.store import Store
from holdfast.review.texts import clean as clean_text
from holdfast.review.verifying import verify

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select


def export(store: Store, out: str | Path) -> dict[str, Any]:
    """Write the decided rows, the labels and the audit trail of the whole store.

    `clean.jsonl`: screened rows that were kept or edited, by batch and line. `labels.jsonl`:
    one line per decided item, for calibrating judges and rules. `trail.jsonl`: every decision
    with its hash. `summary.json`: counts, agreement and the chain's head.

    Args:
        store: The store.
        out: Folder to write to.

    Raises:
        RunError: The folder cannot be written.
    """
    folder = Path(out)
    counts = {"clean": 0, "labels": 0, "decisions": 0}
    check = verify(store)
    with store.read() as connection:
        with atomic_writer(folder / "clean.jsonl") as handle:
            for row in _clean_rows(connection):
                handle.write(row + b"\n")
                counts["clean"] += 1
        with atomic_writer(folder / "labels.jsonl") as handle:
            for label in _labels(connection):
                handle.write(to_json(label) + b"\n")
                counts["labels"] += 1
        with atomic_writer(folder / "trail.jsonl") as handle:
            for entry in _stream(connection, select(decisions).order_by(decisions.c.seq)):
                handle.write(to_json(entry) + b"\n")
                counts["decisions"] += 1
    agreed = agreement(store)
    summary = {
        "schema": 1,
        **counts,
        "head": check.head,
        "verified": check.ok,
        "agreement": {"items": agreed.items, "equal": agreed.equal, "alpha": agreed.alpha},
    }
    write_json(folder / "summary.json", summary)
    return summary


def standing_verdicts(store: Store) -> dict[str, tuple[str, str, str]]:
    """Action, label and edited row of every decided item, by key; the last one wins."""
    query = (
        select(items.c.key, items.c.outcome, items.c.label, items.c.id)
        .where(items.c.state == "decided")
        .order_by(items.c.id)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
        edits = _edits(connection)
    return {row.key: (row.outcome, row.label or "", edits.get(row.id, "")) for row in rows}


def _edits(connection: Connection) -> dict[int, str]:
    query = select(votes.c.item, votes.c.edited).where(votes.c.action == "edit").order_by(votes.c.seq)
    return dict(connection.execute(query).tuples().all())


def _clean_rows(connection: Connection) -> Iterator[bytes]:
    edits = _edits(connection)
    query = (
        select(items.c.id, items.c.raw, items.c.outcome, items.c.label)
        .where(items.c.kind == "screen", items.c.state == "decided")
        .order_by(items.c.batch, items.c.line)
    )
    for item in _stream(connection, query):
        label = item["label"] or ""
        _, row = resolve(item["outcome"], label, edits.get(item["id"], ""), item["raw"])
        if row is not None:
            yield row


def _labels(connection: Connection) -> Iterator[dict[str, Any]]:
    voters: dict[int, int] = {}
    for item in connection.execute(select(votes.c.item)).scalars():
        voters[item] = voters.get(item, 0) + 1
    query = select(items).where(items.c.state == "decided").order_by(items.c.id)
    for item in _stream(connection, query):
        turns = json.loads(item["messages"])["messages"]
        findings = json.loads(item["findings"])
        yield clean_text(
            {
                "key": item["key"],
                "kind": item["kind"],
                "source": item["source"],
                "line": item["line"],
                "messages": turns,
                "label": item["label"],
                "decision": item["outcome"],
                "reviewers": voters.get(item["id"], 0),
                "codes": [{"code": f["code"], "score": f["score"]} for f in findings],
            }
        )


def _stream(connection: Connection, query: Select[Any]) -> Iterator[Mapping[str, Any]]:
    yield from (dict(r) for r in connection.execution_options(yield_per=2000).execute(query).mappings())
