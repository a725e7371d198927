"""Agreement of reviewers: Krippendorff's alpha for nominal labels.

Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: coincidence matrix
with any number of observers and missing values; alpha = 1 - D_o / D_e.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from holdfast.review.schema import votes
from holdfast.review.store import Store


def alpha_nominal(units: Iterable[Sequence[str]]) -> float | None:
    """Krippendorff's alpha; None when no unit has two values or all values are equal.

    Args:
        units: For each unit the values that observers gave, in any order; missing ones left out.
    """
    totals: Counter[str] = Counter()
    disagreement = 0.0
    for values in units:
        m = len(values)
        if m < 2:
            continue
        counts = Counter(values)
        totals.update(counts)
        disagreement += (m * m - sum(n * n for n in counts.values())) / (m - 1)
    n = sum(totals.values())
    expected = n * n - sum(count * count for count in totals.values())
    if expected == 0:
        return None
    return 1.0 - (n - 1) * disagreement / expected


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well reviewers agree.

    Attributes:
        items: Items with two or more votes.
        equal: Of these, items on which all votes name the same label.
        alpha: Krippendorff's alpha over labels; None when it is not defined.
    """

    items: int
    equal: int
    alpha: float | None


def agreement(store: Store) -> Agreement:
    """Agreement on labels over all items that two or more people have voted on."""
    units: dict[int, list[str]] = {}
    with store.read() as connection:
        for item, label in connection.execute(select(votes.c.item, votes.c.label)).tuples():
            units.setdefault(item, []).append(label)
    pairs = [values for values in units.values() if len(values) > 1]
    return Agreement(len(pairs), sum(len(set(values)) == 1 for values in pairs), alpha_nominal(pairs))
