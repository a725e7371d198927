"""Paired statistics on binary outcomes, pure: counts or arrays in, numbers or frozen results out.

For one axis and one prompt, base and tuned answer are each bad (1) or not (0). `worse` counts
the pairs that went from good to bad, `better` the other way; `delta = (worse - better) / n` is
how much worse the tuned model is. All bounds are one-sided at level `1 - alpha`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
# Plain Tango passes a model that sits exactly on the margin in up to 6.0 % of audits; counting
# 0.3 of a flip more keeps that at 5 % or less for every table we tried (docs/statistics.md).
CORRECTION = 0.3
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference with its one-sided lower and upper bound (together a 1 - 2 alpha interval)."""

    delta: float
    lower: float
    upper: float


def normal_quantile(probability: float) -> float:
    """The standard normal quantile."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def tango_statistic(
    worse: ArrayLike, better: ArrayLike, n: ArrayLike, delta: ArrayLike, correction: float = CORRECTION
) -> Floats:
    """Score statistic of the hypothesis that the paired difference is `delta`.

    Large and negative when the data lie far below `delta`. Arrays broadcast. `correction` is a
    continuity correction in flips; 0 gives Tango's own statistic.
    Source: Tango, Statistics in Medicine 17 (1998) 891-908, eq. 20 with the constrained
    maximum-likelihood estimate of the discordant probability.
    """
    b, c, size, d = (np.asarray(value, np.float64) for value in (worse, better, n, delta))
    # The likelihood of the discordant cells under p_worse - p_better = delta is maximal at the
    # positive root of 2n q^2 + (..) q - better * delta (1 - delta) = 0.
    linear = -b - c + (2 * size - b + c) * d
    root = np.sqrt(np.maximum(linear**2 + 8 * size * c * d * (1 - d), 0.0))
    q = np.clip((root - linear) / (4 * size), 0.0, 1.0)
    variance = size * (2 * q + d * (1 - d))
    difference = b - c - size * d + correction
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = difference / np.sqrt(np.maximum(variance, 0.0))
    return np.where(difference == 0, 0.0, statistic)


@lru_cache(maxsize=65536)
def tango_upper(
    worse: float, better: float, n: float, alpha: float = ALPHA, correction: float = CORRECTION
) -> float:
    """Upper score bound on the paired difference; 1.0 when nothing was observed.

    Never below the observed difference, and never of width zero: without any flip (and without
    the correction) it is z^2 / (n + z^2).
    """
    _check(worse, better, n)
    if n == 0:
        return 1.0
    from scipy.optimize import brentq

    z = normal_quantile(1 - alpha)
    start = (worse - better) / n
    high = 1.0 - 1e-12
    if start >= high or float(tango_statistic(worse, better, n, high, correction)) + z > 0:
        return 1.0

    def excess(delta: float) -> float:
        return float(tango_statistic(worse, better, n, delta, correction)) + z

    return float(brentq(excess, start, high, xtol=1e-12))


def tango(
    worse: float, better: float, n: float, alpha: float = ALPHA, correction: float = CORRECTION
) -> Interval:
    """The score interval; its lower bound is the upper bound of the mirrored counts."""
    delta = (worse - better) / n if n else 0.0
    lower = -tango_upper(better, worse, n, alpha, correction)
    return Interval(delta, lower, tango_upper(worse, better, n, alpha, correction))


def bonett_price(worse: int, better: int, n: int, alpha: float = ALPHA) -> Interval:
    """The adjusted Wald interval: one flip is added each way before the usual formula.

    Source: Bonett and Price, Journal of Educational and Behavioral Statistics 37 (2012) 479-488.
    """
    _check(worse, better, n)
    if n == 0:
        return Interval(0.0, -1.0, 1.0)
    up, down = (worse + 1) / (n + 2), (better + 1) / (n + 2)
    half = normal_quantile(1 - alpha) * np.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return Interval(
        (worse - better) / n, max(-1.0, float(up - down - half)), min(1.0, float(up - down + half))
    )


def clustered(means: ArrayLike, alpha: float = ALPHA) -> Interval:
    """Interval for the mean of per-cluster differences in [-1, 1], clusters being independent.

    Tango's interval on effective counts: with `worse` the sum of the positive and `better` that
    of the negative differences, counts and n are scaled by sum |d| / sum d^2, so that a table of
    single flips with the same mean has the same variance. Differences of -1, 0 and 1 give
    Tango's interval itself. (A t interval passes a model on the margin in up to 10 % of audits
    when flips are few and come all together.)

    Args:
        means: Mean difference of each cluster, shape (clusters,).
        alpha: One-sided error.
    """
    d = np.asarray(means, np.float64)
    if d.size < 2:
        return Interval(float(d.sum()), -1.0, 1.0)
    scale = float(np.abs(d).sum() / (d**2).sum()) if d.any() else 1.0
    up, down = float(d[d > 0].sum()) * scale, float(-d[d < 0].sum()) * scale
    return tango(up, down, d.size * scale, alpha)


def clustered_p(means: ArrayLike) -> float:
    """One-sided p-value that the mean difference is above zero.

    A t test after adding one cluster at +1 and one at -1, so that a few flips are not enough.
    """
    d = np.asarray(means, np.float64)
    if d.size < 2:
        return 1.0
    from scipy.stats import t

    padded = np.append(d, (1.0, -1.0))
    statistic = padded.mean() / np.sqrt(padded.var() / padded.size)
    return float(t.sf(statistic, d.size - 1))


def mcnemar(worse: int, better: int) -> float:
    """Exact one-sided McNemar p-value that flips to worse are no likelier than flips to better."""
    from scipy.special import bdtrc

    total = worse + better
    return 1.0 if worse == 0 else float(bdtrc(worse - 1, total, 0.5))


def clopper_pearson(hits: int, n: int, alpha: float = ALPHA) -> tuple[float, float]:
    """One-sided exact lower and upper bounds on a binomial probability.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404-413.
    """
    from scipy.special import betaincinv

    if n == 0:
        return 0.0, 1.0
    lower = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, alpha))
    upper = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - alpha))
    return lower, upper


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Scandinavian Journal of Statistics 6 (1979) 65-70)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def pass_probability(
    n: int,
    worse: float,
    better: float,
    margin: float,
    alpha: float = ALPHA,
    correction: float = CORRECTION,
) -> float:
    """Exact probability that the Tango bound lies below `margin`, over all tables of `n` pairs.

    With `worse - better >= margin` it is the error rate of a pass; with a smaller true
    difference it is the power. `worse` and `better` are probabilities of a flip.
    """
    from scipy.stats import binom

    discordant = worse + better
    low, high = (int(v) for v in binom.interval(1 - 1e-9, n, discordant)) if discordant else (0, 0)
    total = 0.0
    for flips in range(low, high + 1):
        up = np.arange(flips + 1)
        passes = tango_statistic(up, flips - up, n, margin, correction) < -normal_quantile(1 - alpha)
        share: Any = binom.pmf(up, flips, worse / discordant) if discordant else np.ones(1)
        total += float(binom.pmf(flips, n, discordant)) * float(share[passes].sum())
    return total


def _check(worse: float, better: float, n: float) -> None:
    if worse < 0 or better < 0 or worse + better > n * (1 + 1e-9):
        raise ValueError(f"{worse} worse and {better} better flips do not fit in {n} pairs")
