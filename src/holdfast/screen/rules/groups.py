"""How groups of rows are told: the large ones one by one, all others in one finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from holdfast.screen.base import Finding, Severity
from holdfast.screen.rules.sample import Kept

_MOST = 3

Group = Sequence[Kept]


def lines_of(rows: Iterable[Kept]) -> tuple[int, ...]:
    """The lines of some rows, ascending."""
    return tuple(sorted(line for row in rows for line in row.lines))


def size_of(group: Group) -> int:
    """Rows of the file in a group, copies included."""
    return sum(row.count for row in group)


def told(
    code: str, groups: Iterable[Group], alone: float, one: Callable[[Group], str], many: str
) -> Iterator[Finding]:
    """Notes on groups, so that a file of many small groups gets one note and not fifty.

    Args:
        code: Rule code.
        groups: The groups, in any order.
        alone: Rows from which a group may have a note of its own; the three largest get one.
        one: What is said of a group.
        many: What the others are, as it follows their number.
    """
    ordered = sorted(groups, key=lambda group: (-size_of(group), group[0].lines))
    large = [group for group in ordered if size_of(group) >= alone][:_MOST]
    rest = ordered[len(large) :]
    if len(rest) == 1:
        large, rest = ordered, []
    for group in large:
        yield Finding(code, Severity.NOTE, 0.9, one(group), lines=lines_of(group))
    if rest:
        words = f"{len(rest)} {many} ({sum(map(size_of, rest))} rows in all); the largest: {one(rest[0])}"
        lines = lines_of(row for group in rest for row in group)
        yield Finding(code, Severity.NOTE, 0.8, words, lines=lines)
