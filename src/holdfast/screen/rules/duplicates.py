"""AN1xx: rows that occur more than once, letter by letter or nearly so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.groups import Group, told
from holdfast.screen.rules.sample import Kept, Sample

_LONG = "Please tell me everything that you know about the history of the small harbour town and its"
_PERMUTATIONS = 128
_ROW = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


class ExactDuplicates(Tuned):
    """Finds rows that are repeated without a change.

    Args:
        copies: Occurrences from which a content is reported.
        alone: Occurrences from which it may have a note of its own.
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

    def __init__(self, *, copies: int = 2, alone: int = 10) -> None:
        self.copies = copies
        self.alone = alone

    def read(self, sample: Sample) -> Iterator[Finding]:
        """A note for each of the most frequent contents, and one for all others."""
        repeated = [[kept] for kept in sample.rows.values() if kept.count >= self.copies]
        yield from told("AN101", repeated, self.alone, _copies, "contents occur more than once")


def _copies(group: Group) -> str:
    return f'the same row occurs {group[0].count} times; it begins "{group[0].prompt[:60]}"'


class NearDuplicates(Tuned):
    """Finds groups of rows that differ in a few words (MinHash, locality-sensitive hashing).

    Args:
        similar: Jaccard similarity of five-word runs from which rows count as near duplicates.
        group: Rows of a group from which it may have a note of its own.
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

    def __init__(self, *, similar: float = 0.8, group: int = 20) -> None:
        self.similar = similar
        self.group = group

    def read(self, sample: Sample) -> Iterator[Finding]:
        """A note for each of the largest groups, and one for all others."""
        groups = near_groups(sample.ordered(), self.similar)
        yield from told("AN102", groups, self.group, _alike, "groups of rows are nearly the same")


def _alike(group: Group) -> str:
    return f'{len(group)} rows are nearly the same; one begins "{group[0].prompt[:60]}"'


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
