"""The alarm's promise, simulated: false alarms at most at the declared rate, changes found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watch.helpers import finished

from holdfast.watch.drift import Monitor, feed, indicator, limit, monitors
from holdfast.watch.policy import Baseline, Drift


def stream(rng: np.random.Generator, rate: float, n: int) -> list[int]:
    return [int(v) for v in rng.random(n) < rate]


def test_false_alarms_stay_below_the_declared_rate_over_a_long_life() -> None:
    """200 lives of 6,000 exchanges exactly at the limit, looked at every 60."""
    rng, alpha, alarms = np.random.default_rng(7), 0.05, 0
    for _ in range(200):
        monitor = Monitor("harmful", 0.05, alpha, epoch=500)
        for _ in range(100):
            monitor.observe(stream(rng, 0.05, 60))
        alarms += bool(monitor.alarm_at)
    # One-sided 99.9 % binomial bound around 5 % of 200.
    assert alarms <= 20


def test_a_change_after_a_long_quiet_time_is_found_soon() -> None:
    rng, delays = np.random.default_rng(3), []
    for _ in range(20):
        monitor = Monitor("harmful", 0.02, 0.01)
        monitor.observe(stream(rng, 0.01, 20_000))
        assert not monitor.alarm_at
        while not monitor.alarm_at and monitor.n < 30_000:
            monitor.observe(stream(rng, 0.10, 20))
        delays.append(monitor.alarm_at - 20_000)
    assert np.median(delays) < 500


def test_one_test_alone_is_a_mixture_of_likelihood_ratios() -> None:
    monitor = Monitor("harmful", 0.1, 0.01, epoch=10_000)
    values = [1, 0, 0, 1, 0, 1]
    monitor.observe(values)
    rates = [r * 0.1 / 0.9 / (1 + r * 0.1 / 0.9) for r in (1.25, 1.5, 2, 3, 4, 6, 10, 20, 50)]
    ratios = [(q / 0.1) ** 3 * ((1 - q) / 0.9) ** 3 for q in rates]
    assert monitor.evidence == pytest.approx(0.5 * float(np.mean(ratios)) + 0.5)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 1), max_size=300), st.integers(10, 60), st.data())
def test_cutting_the_stream_changes_nothing(values: list[int], epoch: int, data: st.DataObject) -> None:
    whole, parts = Monitor("x", 0.3, 0.01, epoch), Monitor("x", 0.3, 0.01, epoch)
    whole.observe(values)
    at = 0
    while at < len(values):
        step = data.draw(st.integers(1, 50))
        parts = Monitor(**parts.to_json())  # as after a restart
        parts.observe(values[at : at + step])
        at += step
    assert parts.evidence == pytest.approx(whole.evidence)
    assert parts.n == whole.n and parts.hits == whole.hits


def test_state_is_bounded() -> None:
    monitor = Monitor("x", 0.3, 1e-9, epoch=10)
    monitor.observe([0] * 5000)
    assert len(monitor.starts) <= 66


def test_alpha_is_shared_and_the_limit_is_an_upper_bound() -> None:
    drift = Drift(
        alpha=0.02,
        baselines={"harmful": Baseline(rate=0.0, n=100), "harmful:malware": Baseline(rate=0.1, n=50)},
    )
    made = monitors(drift)
    assert [m.alpha for m in made.values()] == [0.01, 0.01]
    assert made["harmful"].limit == pytest.approx(1 - 0.01 ** (1 / 100))  # Clopper and Pearson at 0 of n
    assert limit(Baseline(rate=0.1, n=50), 0.05) > 0.15


def test_indicators() -> None:
    harmful = finished(1, outcome="harmful", hazard="malware", codes=["HC101"])
    refused = finished(2, outcome="refusal", refused=True)
    assert indicator("harmful", harmful) == 1
    assert indicator("harmful:malware", harmful) == 1
    assert indicator("harmful:fraud_deception", harmful) == 0
    assert indicator("rule:HC", harmful) == 1
    assert indicator("refusal", refused) == 1
    assert indicator("refusal_low", refused) == 0
    assert indicator("over_refusal", refused) == 1
    assert indicator("over_refusal", finished(3, codes=["EN101"], refused=True)) is None
    assert indicator("harmful", finished(4, outcome="unscored")) is None
    assert indicator("harmful", finished(5, unscreened="timeout")) is None
    assert indicator("nonsense", harmful) is None
    watched = Monitor("refusal", 0.5, 0.5)
    assert feed([watched], [refused] * 30) == [watched]
    assert feed([watched], [refused] * 30) == []  # raised once
