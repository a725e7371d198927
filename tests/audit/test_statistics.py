"""Bounds and tests against hand-computed and published values, an independent oracle, and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from holdfast.audit.statistics import (
    bonett_price,
    clopper_pearson,
    clustered,
    clustered_p,
    holm,
    mcnemar,
    pass_probability,
    tango,
    tango_statistic,
    tango_upper,
)

Z = 1.959963984540054


def test_tango_published_example() -> None:
    # Airway hyper-responsiveness before and after stem cell transplantation (Bentur et al. 2009),
    # as worked in Fagerland, Lydersen and Laake 2014: 1 and 7 discordant of 21, 95 % two-sided.
    result = tango(1, 7, 21, alpha=0.025, correction=0)
    assert result.lower == pytest.approx(-0.517, abs=5e-4)
    assert result.upper == pytest.approx(-0.026, abs=5e-4)


def test_bonett_price_published_example() -> None:
    result = bonett_price(1, 7, 21, alpha=0.025)
    assert result.lower == pytest.approx(-0.508, abs=5e-4)
    assert result.upper == pytest.approx(-0.013, abs=5e-4)


def test_zero_flips_by_hand() -> None:
    z = 1.6448536269514722
    for n in (50, 100, 200, 400):
        assert tango_upper(0, 0, n, correction=0) == pytest.approx(z * z / (n + z * z), abs=1e-9)
    assert tango_upper(0, 0, 100) > tango_upper(0, 0, 100, correction=0) > 0


def _likelihood_statistic(b: int, c: int, n: int, delta: float) -> float:
    """The score statistic from a numerical constrained maximum, not from Tango's closed form."""

    def loss(q: float) -> float:
        p = q + delta
        rest = 1 - p - q
        if min(p, q, rest) <= 0:
            return 1e9
        return -(b * math.log(p) + c * math.log(q) + (n - b - c) * math.log(rest))

    low, high = max(0.0, -delta), (1 - delta) / 2
    q = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    return (b - c - n * delta) / math.sqrt(n * (2 * q + delta * (1 - delta)))


@pytest.mark.parametrize(("b", "c", "n"), [(12, 4, 80), (3, 9, 60), (20, 20, 300), (5, 1, 44), (2, 3, 500)])
def test_tango_against_numerical_likelihood(b: int, c: int, n: int) -> None:
    upper = brentq(lambda d: _likelihood_statistic(b, c, n, d) + Z, (b - c) / n + 1e-9, 0.9)
    assert tango_upper(b, c, n, alpha=0.025, correction=0) == pytest.approx(upper, abs=1e-5)


@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1, 0.15])
def test_false_pass_rate_at_most_five_percent(margin: float) -> None:
    """Exact, over every table: a model that sits on the margin passes in at most 5 % of audits."""
    for n, better in itertools.product((30, 50, 100, 200, 300, 500), (0.0, 0.003, 0.01, 0.05, 0.2)):
        assert pass_probability(n, better + margin, better, margin) <= 0.05


def test_coverage_by_simulation() -> None:
    rng = np.random.default_rng(1)
    for n, worse, better in [(100, 0.06, 0.01), (300, 0.05, 0.03), (60, 0.2, 0.1), (300, 0.01, 0.01)]:
        tables = rng.multinomial(n, [worse, better, 1 - worse - better], size=4000)
        statistic = tango_statistic(tables[:, 0], tables[:, 1], n, worse - better)
        assert (statistic >= -1.6448536269514722).mean() >= 0.94


def _three_samples(rng: np.random.Generator, prompts: int, kind: str) -> tuple[np.ndarray, float]:
    """Mean difference of each prompt over three samples, and the true difference."""
    if kind == "together":  # 5 % of the prompts become harmful in every sample
        return (rng.random(prompts) < 0.05).astype(float), 0.05
    if kind == "by chance":  # every answer is bad by a coin of the prompt, the same in both arms
        rate = rng.beta(0.3, 1.2, size=(prompts, 1))
        return (
            (rng.random((prompts, 3)) < rate).mean(axis=1) - (rng.random((prompts, 3)) < rate).mean(axis=1),
            0.0,
        )
    moved = rng.random(prompts) < 0.1  # a tenth of the prompts become harmful half the time
    return ((rng.random((prompts, 3)) < 0.5) & moved[:, None]).mean(axis=1), 0.05


@pytest.mark.parametrize("kind", ["together", "by chance", "half the time"])
def test_clustered_coverage_by_simulation(kind: str) -> None:
    rng = np.random.default_rng(2)
    for prompts in (60, 200):
        held = []
        for _ in range(1500):
            means, truth = _three_samples(rng, prompts, kind)
            held.append(clustered(means).upper >= truth)
        assert np.mean(held) >= 0.94


def test_clustered_false_failures() -> None:
    """Unchanged models, answers by chance: significant in at most 5 % (and no more by luck)."""
    rng = np.random.default_rng(6)
    found = [clustered_p(_three_samples(rng, 100, "by chance")[0]) <= 0.05 for _ in range(1500)]
    assert np.mean(found) <= 0.06


def test_clustered_is_tango_for_single_flips() -> None:
    d = np.array([1.0] * 7 + [-1.0] * 2 + [0.0] * 91)
    assert clustered(d) == tango(7, 2, 100)
    assert clustered(np.zeros(100)) == tango(0, 0, 100)
    assert clustered(np.zeros(1)).upper == 1.0
    assert clustered(np.full(100, 1 / 3)).upper < tango(34, 0, 100).upper


def test_mcnemar_by_hand() -> None:
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(8, 2) == pytest.approx(sum(math.comb(10, k) for k in (8, 9, 10)) / 1024)
    assert mcnemar(0, 0) == 1.0


def test_clopper_pearson_rule_of_three() -> None:
    low, high = clopper_pearson(0, 330)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.05 ** (1 / 330))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


tables = st.integers(1, 400).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n)).filter(
        lambda t: t[0] + t[1] <= t[2]
    )
)


@given(tables)
def test_upper_bound_properties(table: tuple[int, int, int]) -> None:
    worse, better, n = table
    interval = tango(worse, better, n)
    assert interval.lower <= interval.delta <= interval.upper
    assert interval.upper - interval.lower > 0
    mirrored = tango(better, worse, n)
    assert mirrored.upper == pytest.approx(-interval.lower)


@given(tables)
def test_more_flips_to_worse_never_lower_the_bound(table: tuple[int, int, int]) -> None:
    worse, better, n = table
    if worse + better < n:
        assert tango_upper(worse + 1, better, n) >= tango_upper(worse, better, n) - 1e-9
    if better > 0:
        assert tango_upper(worse, better - 1, n) >= tango_upper(worse, better, n) - 1e-9


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        tango_upper(5, 6, 10)
