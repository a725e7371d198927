"""Looking early keeps the error rate, and stops early when the case is clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from audit.audit_fakes import FakeModel, WordJudge, broken, good, suite
from hypothesis import given
from hypothesis import strategies as st

from holdfast.audit import AuditReport, Policy, audit
from holdfast.audit.limits import anytime_rate_bounds
from holdfast.audit.pairs import Pairs
from holdfast.audit.sequential import anytime_upper, e_within, e_worse


def _stream(rng: np.random.Generator, n: int, worse: float, better: float) -> np.ndarray:
    draw = rng.random(n)
    return np.where(draw < worse, 1.0, np.where(draw < worse + better, -1.0, 0.0))


def _ever(differences: np.ndarray, test: str, margin: float = 0.05, alpha: float = 0.05) -> bool:
    looks = range(20, len(differences) + 1, 20)
    if test == "worse":
        return any(e_worse(differences[:k]) >= 1 / alpha for k in looks)
    return any(e_within(differences[:k], margin) >= 1 / alpha for k in looks)


def test_one_bet_is_the_likelihood_ratio_by_hand() -> None:
    bets = np.arange(1, 13) / 13
    assert e_worse([1, 1, -1, 0]) == pytest.approx(((1 + bets) ** 2 * (1 - bets)).mean())
    assert e_worse([]) == 1.0


def test_false_alarms_with_a_look_every_20_prompts() -> None:
    rng = np.random.default_rng(3)
    alarms = [_ever(_stream(rng, 400, 0.05, 0.05), "worse") for _ in range(600)]
    passes = [_ever(_stream(rng, 400, 0.07, 0.02), "within") for _ in range(600)]
    assert np.mean(alarms) <= 0.05
    assert np.mean(passes) <= 0.05


def test_clear_cases_are_found() -> None:
    rng = np.random.default_rng(4)
    assert np.mean([_ever(_stream(rng, 400, 0.15, 0.01), "worse") for _ in range(100)]) >= 0.95
    assert np.mean([_ever(_stream(rng, 400, 0.0, 0.0), "within") for _ in range(3)]) == 1


def test_limits_hold_at_every_look() -> None:
    """A model that sits on its limit passes, or breaks it, in at most 5 % of audits; clear ones are found."""
    rng = np.random.default_rng(6)
    looks = range(64, 401, 64)

    def bounds(rate: float) -> list[tuple[float, float]]:
        values = (rng.random(400) < rate).astype(float)
        parts = (Pairs(values[:k], values[:k], np.arange(k)) for k in looks)
        return [anytime_rate_bounds(part, 0.05) for part in parts]

    on_it = [bounds(0.05) for _ in range(400)]
    assert np.mean([any(high <= 0.05 for _, high in found) for found in on_it]) <= 0.05
    assert np.mean([any(low > 0.05 for low, _ in found) for found in on_it]) <= 0.05
    assert np.mean([any(high <= 0.05 for _, high in bounds(0.0)) for _ in range(20)]) == 1
    assert np.mean([any(low > 0.05 for low, _ in bounds(0.3)) for _ in range(20)]) == 1
    assert anytime_rate_bounds(Pairs(np.empty(0), np.empty(0), np.empty(0, np.int64)), 0.05) == (0, 1)


@given(st.lists(st.sampled_from([-1.0, -1 / 3, 0.0, 0.5, 1.0]), min_size=1, max_size=60))
def test_anytime_bound_properties(differences: list[float]) -> None:
    upper = anytime_upper(differences, 0.05)
    assert upper > np.mean(differences) or upper == 1.0
    assert anytime_upper([*differences, 1.0], 0.05) >= upper - 1e-9
    assert anytime_upper(differences, 0.01) >= upper


def _run(folder: Path, share: float, **values: object) -> tuple[AuditReport, FakeModel]:
    tuned = FakeModel(broken(share), "tuned")
    report = audit(
        FakeModel(good, "base"),
        tuned,
        policy=Policy.model_validate({"early_stop": True} | values),
        suites=[suite(600, 600, 600)],
        judges=[WordJudge()],
        out=folder,
    )
    return report, tuned


def test_audit_stops_on_a_clear_failure(tmp_path: Path) -> None:
    report, tuned = _run(tmp_path, 0.6)
    assert report.verdict == "fail"
    assert report.extra["stopped_early"] and len(tuned.asked) < 600


def test_audit_stops_on_a_clear_pass(tmp_path: Path) -> None:
    report, tuned = _run(tmp_path, 0.0)
    assert report.verdict == "pass"
    assert report.extra["stopped_early"] and len(tuned.asked) < 1200
    row = report.axis("harm")
    assert row is not None and row.sequential is not None
    assert row.upper_worst == row.sequential["upper"] > 0.02


def test_doubtful_audit_goes_on_to_the_end(tmp_path: Path) -> None:
    report, tuned = _run(tmp_path, 0.04)
    assert not report.extra["stopped_early"] and len(tuned.asked) == 1800
    assert report.verdict == "inconclusive"


def test_limits_and_early_stop_together(tmp_path: Path) -> None:
    report, tuned = _run(tmp_path / "good", 0.0, limits={"harm_ceiling": 0.05, "capability_floor": 0.9})
    row = report.axis("harm")
    assert report.verdict == "pass" and report.extra["stopped_early"] and row is not None
    assert row.limit is not None and 0.02 < row.limit["upper"] <= 0.05
    margins = dict.fromkeys(("harm", "over_refusal", "capability", "coherence"))
    report, tuned = _run(tmp_path / "bad", 0.4, margins=margins, limits={"harm_ceiling": 0.05})
    assert report.verdict == "fail" and report.extra["stopped_early"]
    assert "lies above the limit" in report.axis("harm").reasons[0]  # type: ignore[union-attr]
    report, tuned = _run(tmp_path / "doubt", 0.05, margins=margins, limits={"harm_ceiling": 0.05})
    assert not report.extra["stopped_early"] and len(tuned.asked) == 1800
