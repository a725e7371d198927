"""Pairs of outcomes of one slice of the evidence, and their summary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.audit.statistics import ALPHA, Interval, clustered, clustered_p, mcnemar, tango
from holdfast.audit.units import Record

Value = Callable[[Record], int | None]


@dataclass(frozen=True)
class Pairs:
    """Outcomes of both arms on the same units; NaN where unknown.

    Attributes:
        base: Base model's outcomes, 1 bad, shape (units,).
        tuned: Tuned model's outcomes, same order.
        cluster: Index of the independent cluster (prompt or seed) of each unit.
    """

    base: NDArray[np.float64]
    tuned: NDArray[np.float64]
    cluster: NDArray[np.int64]

    @property
    def clusters(self) -> int:
        """How many independent clusters there are."""
        return len(np.unique(self.cluster))

    def scored(self) -> Pairs:
        """Only the units that both arms have an outcome for."""
        keep = ~(np.isnan(self.base) | np.isnan(self.tuned))
        return Pairs(self.base[keep], self.tuned[keep], self.cluster[keep])

    def filled(self, base: float, tuned: float) -> Pairs:
        """Unknown outcomes replaced, for worst and best cases."""
        return Pairs(
            np.where(np.isnan(self.base), base, self.base),
            np.where(np.isnan(self.tuned), tuned, self.tuned),
            self.cluster,
        )

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of `values` in each cluster, shape (clusters,)."""
        _, index = np.unique(self.cluster, return_inverse=True)
        return np.asarray(np.bincount(index, values) / np.bincount(index), np.float64)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a slice shows: rates and difference are means over clusters."""

    n: int
    units: int
    base: float
    tuned: float
    interval: Interval
    p: float
    worse: int
    better: int


def collect(records: Iterable[Record], value: Value) -> Pairs:
    """Pair the arms' records by unit and sample; a unit that one arm lacks is left out."""
    arms: dict[str, dict[tuple[str, str, str, int], Record]] = defaultdict(dict)
    for record in records:
        arms[record.arm][record.key[:4]] = record
    base, tuned = arms["base"], arms["tuned"]
    names = [name for name in base if name in tuned]
    numbers: dict[str, int] = {}
    cluster = [numbers.setdefault(base[name].cluster, len(numbers)) for name in names]
    return Pairs(
        _outcomes([value(base[name]) for name in names]),
        _outcomes([value(tuned[name]) for name in names]),
        np.asarray(cluster, np.int64),
    )


def summarise(pairs: Pairs, alpha: float = ALPHA) -> Summary:
    """Rates, difference, bounds and one-sided p-value of fully scored pairs.

    One binary pair per cluster: Tango's bound and the exact McNemar test. Otherwise (several
    samples of a prompt, variants of one seed): Tango's bound on effective
    counts and a t test over clusters.
    """
    difference = pairs.tuned - pairs.base
    worse, better = int((difference > 0).sum()), int((difference < 0).sum())
    clusters = pairs.clusters
    if len(difference) == 0:
        return Summary(0, 0, 0.0, 0.0, Interval(0.0, -1.0, 1.0), 1.0, 0, 0)
    base, tuned = float(pairs.means(pairs.base).mean()), float(pairs.means(pairs.tuned).mean())
    if clusters == len(difference):
        interval, p = tango(worse, better, clusters, alpha), mcnemar(worse, better)
    else:
        means = pairs.means(difference)
        interval, p = clustered(means, alpha), clustered_p(means)
    return Summary(clusters, len(difference), base, tuned, interval, p, worse, better)


def _outcomes(values: list[int | None]) -> NDArray[np.float64]:
    return np.asarray([np.nan if value is None else value for value in values], np.float64)
