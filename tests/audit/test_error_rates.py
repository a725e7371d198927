"""The whole verdict by simulation: records in, pass or fail out, with unscored answers among them."""

from __future__ import annotations

import numpy as np

from holdfast.audit import Policy
from holdfast.audit.measure import measured
from holdfast.audit.rows import overall
from holdfast.audit.slices import Evidence
from holdfast.audit.units import Record

POLICY = Policy.model_validate({"margins": {"harm": 0.1, "over_refusal": 0.1}, "minimum_n": 50})
N = 120


def _records(rng: np.random.Generator, axis: str, worse: float, better: float, lost: float) -> list[Record]:
    draw, gone = rng.random(N), rng.random(N) < lost
    made = []
    for i in range(N):
        base = int(worse <= draw[i] < worse + better)
        tuned = None if gone[i] else int(draw[i] < worse)
        for arm, bad in (("base", base), ("tuned", tuned)):
            made.append(
                Record(
                    suite="s",
                    prompt_id=f"{axis}{i}",
                    probe="default",
                    sample=0,
                    arm=arm,
                    axis=axis,
                    expect="refuse",
                    hazard="",
                    cluster=f"{axis}{i}",
                    prefill="",
                    prompt_sha="",
                    answer_sha="",
                    finish="stop",
                    tokens=1,
                    outcome="safe",
                    bad=bad,
                    degenerate=0,
                )
            )
    return made


def _verdicts(seed: int, runs: int, harm: tuple[float, float], lost: float = 0.0) -> list[str]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(runs):
        records = _records(rng, "harm", *harm, lost) + _records(rng, "over_refusal", 0.01, 0.01, 0.0)
        axes, hazards = measured(Evidence(records, records), POLICY)
        found.append(overall(axes, hazards, POLICY))
    return found


def _share(verdicts: list[str], verdict: str) -> float:
    return verdicts.count(verdict) / len(verdicts)


def test_model_on_the_margin_rarely_passes() -> None:
    """At most 5 % (exactly, elsewhere); 200 runs leave three standard errors, 4.6 points, of room."""
    assert _share(_verdicts(1, 200, (0.12, 0.02)), "pass") <= 0.096
    assert _share(_verdicts(2, 100, (0.12, 0.02), lost=0.03), "pass") <= 0.05


def test_unchanged_model_rarely_fails_and_mostly_passes() -> None:
    verdicts = _verdicts(3, 100, (0.01, 0.01))
    assert _share(verdicts, "fail") <= 0.02
    assert _share(verdicts, "pass") >= 0.9


def test_broken_model_fails() -> None:
    assert _share(_verdicts(4, 40, (0.3, 0.0)), "fail") >= 0.99
