"""AN1xx: rows that occur more than once, letter by letter or nearly so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.sample import Kept, Sample

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


def _order(kept: Kept) -> tuple[int, list[int]]:
    return -kept.count, kept.lines


def _lines(rows: Iterable[Kept]) -> tuple[int, ...]:
    return tuple(sorted(line for kept in rows for line in kept.lines)[:1000])
