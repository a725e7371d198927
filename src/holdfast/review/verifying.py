"""`holdfast review verify`: is every decision as it was written, and does the state follow from them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from holdfast.review.decisions import link, standing
from holdfast.review.schema import batches, chain, decisions, items, votes
from holdfast.review.store import Store
from holdfast.review.texts import row_key, seen_digest

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Verification:
    """What the check found.

    Attributes:
        decisions: How many were read.
        head: Hash of the last one: note it elsewhere, and a later check can name it.
        problems: In plain words; empty when nothing was tampered with.
    """

    decisions: int
    head: str
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify(store: Store, *, head: str | None = None) -> Verification:
    """Recompute the hash chain, the votes and every item's state.

    A chain alone cannot show that its newest links were cut off and the end rewritten: give a
    `head` that was noted earlier (each export holds one) and it must still be in the chain.
    """
    problems: list[str] = []
    with store.read() as connection:
        count, last = _walk(connection, problems, head)
        end = connection.execute(select(chain.c.seq, chain.c.head)).one_or_none()
        if end is None or (end.seq, end.head) != (count, last):
            problems.append("the chain's end does not match the last decision: decisions were removed")
        _projection(connection, problems)
    hidden = len(problems) - _SHOWN
    if hidden > 0:
        problems = [*problems[:_SHOWN], f"and {hidden} more"]
    return Verification(count, last, problems)


def _walk(connection: Connection, problems: list[str], head: str | None) -> tuple[int, str]:
    seq, previous, met = 0, "0" * 64, head is None or head == "0" * 64
    for row in _stream(connection):
        if row["seq"] != seq + 1:
            problems.append(f"decision {seq + 1} is missing")
        if row["previous"] != previous:
            problems.append(f"decision {row['seq']} does not follow the one before it")
        if link(row) != row["hash"]:
            problems.append(f"decision {row['seq']} was changed after it was made")
        seq, previous = row["seq"], row["hash"]
        met = met or previous == head
    if not met:
        problems.append("the head noted earlier is not in the chain: it was rewritten")
    return seq, previous


def _projection(connection: Connection, problems: list[str]) -> None:
    stacks: dict[tuple[int, str], dict[int, Mapping[str, Any]]] = {}
    undone: dict[int, tuple[int, str]] = {}
    for row in _stream(connection):
        if row["action"] != "undo":
            owner = (row["item"], row["who"])
            stacks.setdefault(owner, {})[row["seq"]] = row
            undone[row["seq"]] = owner
        elif row["undoes"] in undone:
            stacks[undone[row["undoes"]]].pop(row["undoes"], None)
    expected = {owner: max(stack) for owner, stack in stacks.items() if stack}
    actual = {
        (v.item, v.who): v.seq for v in connection.execute(select(votes.c.item, votes.c.who, votes.c.seq))
    }
    wrong = {owner for owner, _ in set(expected.items()) ^ set(actual.items())}
    problems.extend(
        f"the vote of {who} on item {item} does not follow from the decisions" for item, who in sorted(wrong)
    )
    cast: dict[int, list[Mapping[str, Any]]] = {}
    for (item, who), seq in sorted(expected.items(), key=lambda pair: pair[1]):
        row = stacks[item, who][seq]
        cast.setdefault(item, []).append({**row, "edited": row["edited"] or ""})
    needed = dict(connection.execute(select(batches.c.id, batches.c.reviewers)).tuples().all())
    for item_row in connection.execution_options(yield_per=1000).execute(select(items)):
        state, vote = standing(cast.get(item_row.id, []), needed[item_row.batch])
        if (item_row.state, item_row.outcome, item_row.label) != (
            state,
            vote["action"] if vote else None,
            vote["label"] if vote else None,
        ):
            problems.append(f"the state of item {item_row.id} does not follow from the decisions")
        shown = seen_digest(item_row.key, item_row.messages, item_row.findings)
        if (item_row.key, item_row.seen) != (row_key(item_row.raw), shown):
            problems.append(f"item {item_row.id} was changed after it was imported")


def _stream(connection: Connection) -> Iterator[Mapping[str, Any]]:
    query = select(decisions).order_by(decisions.c.seq)
    rows = connection.execution_options(yield_per=5000).execute(query)
    yield from (dict(row) for row in rows.mappings())
