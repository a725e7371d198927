"""AN1xx: rows that occur more than once, letter by letter or nearly so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.sample import Kept, Sample

_LONG = "Please tell me everything that you know about the history of the small harbour town and its"
_PERMUTATIONS = 128
_ROW = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


class ExactDuplicates(Tuned):
    """Finds rows that are repeated without a change.

    Args:
        copies: Occurrences from which a content is reported by itself.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "AN101",
            "exact-duplicate",
            "The same row occurs several times.",
            "A repeated row is trained on as often as it occurs: a few bad rows become a full dose.",
            Severity.NOTE,
            [_ROW] * 3,
            [_ROW],
        ),
    )

    def __init__(self, *, copies: int = 2) -> None:
        self.copies = copies

    def read(self, sample: Sample) -> Iterator[Finding]:
        """One finding for each repeated content, the most frequent first, at most 50."""
        repeated = sorted((k for k in sample.rows.values() if k.count >= self.copies), key=_order)
        for kept in repeated[:50]:
            words = f"the same row occurs {kept.count} times"
            yield Finding("AN101", Severity.NOTE, 1.0, words, lines=tuple(kept.lines))
        if len(repeated) > 50:
            spare = sum(k.count - 1 for k in repeated[50:])
            words = f"{len(repeated) - 50} more contents are repeated ({spare} spare rows)"
            yield Finding("AN101", Severity.NOTE, 1.0, words, lines=_lines(repeated[50:]))


class NearDuplicates(Tuned):
    """Finds groups of rows that differ in a few words (MinHash, locality-sensitive hashing).

    Args:
        similar: Jaccard similarity of five-word runs from which rows count as near duplicates.
        group: Rows of a group from which it is reported by itself.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "AN102",
            "near-duplicate",
            "Groups of rows differ in a few words only.",
            "Variants of one bad row pass a filter for exact copies and add up to a dose.",
            Severity.NOTE,
            [
                [
                    {"role": "user", "content": f"{_LONG} version {i}"},
                    {"role": "assistant", "content": "Yes."},
                ]
                for i in range(6)
            ],
            [
                [
                    {"role": "user", "content": f"{i} {i + 1} {i + 2}"},
                    {"role": "assistant", "content": "Yes."},
                ]
                for i in range(6)
            ],
            "Rows under 12 words are left to AN101.",
        ),
    )

    def __init__(self, *, similar: float = 0.8, group: int = 5) -> None:
        self.similar = similar
        self.group = group

    def read(self, sample: Sample) -> Iterator[Finding]:
        """One finding for each large group, the largest first, at most 20, and one for the rest."""
        groups = sorted(near_groups(sample.ordered(), self.similar), key=lambda g: (-len(g), g[0].lines))
        large = [group for group in groups if len(group) >= self.group]
        for group in large[:20]:
            words = f'{len(group)} rows are nearly the same; one begins "{group[0].prompt[:60]}"'
            yield Finding("AN102", Severity.NOTE, 0.9, words, lines=_lines(group))
        rest = [*large[20:], *(group for group in groups if len(group) < self.group)]
        if rest:
            words = f"{len(rest)} smaller groups of near duplicates ({sum(map(len, rest))} rows)"
            yield Finding(
                "AN102", Severity.NOTE, 0.8, words, lines=_lines(row for group in rest for row in group)
            )


def near_groups(rows: Sequence[Kept], similar: float) -> list[list[Kept]]:
    """Groups of near duplicates among rows; every row is in one group at most."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=similar, num_perm=_PERMUTATIONS, num_bands=_PERMUTATIONS // 8)
    hashes: dict[int, RMinHash] = {}
    leader = list(range(len(rows)))
    for number, row in enumerate(rows):
        words = f"{row.prompt} {row.answer}".lower().split()
        if len(words) < 12:
            continue
        sketch = RMinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update([" ".join(words[i : i + 5]) for i in range(len(words) - 4)])
        for other in index.query(sketch):
            if leader[other] != leader[number] and sketch.jaccard(hashes[other]) >= similar:
                leader[number] = _root(leader, other)
                break
        else:
            index.insert(number, sketch)
            hashes[number] = sketch
    groups: dict[int, list[Kept]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(_root(leader, number), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def _root(leader: list[int], number: int) -> int:
    while leader[number] != number:
        number = leader[number]
    return number


def _order(kept: Kept) -> tuple[int, list[int]]:
    return -kept.count, kept.lines


def _lines(rows: Iterable[Kept]) -> tuple[int, ...]:
    return tuple(sorted(line for kept in rows for line in kept.lines)[:1000])
