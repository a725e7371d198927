"""The rows of a report: one comparison each, with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from holdfast.audit.policy import Policy

Verdict = Literal["pass", "fail", "inconclusive", "ungated"]
_GRAVITY = {"ungated": -1, "pass": 0, "inconclusive": 1, "fail": 2}


@dataclass(frozen=True)
class Row:
    """One comparison of base and tuned model.

    All rates are shares of *bad* outcomes, so that a positive `delta` is always worse
    (harmful answers, refused benign requests, wrong answers, babble).

    Attributes:
        name: `axis`, `axis@probe` or `axis/hazard`; unique in a report.
        axis: The axis.
        probe: The probe.
        hazard: The hazard, or an empty string.
        n: Independent clusters (prompts).
        units: Pairs of answers.
        base: Share of bad outcomes of the base model, over scored pairs.
        tuned: The same for the tuned model.
        delta: tuned - base.
        lower: One-sided 95 % lower bound on delta.
        upper: One-sided 95 % upper bound on delta.
        upper_worst: `upper` with every unknown outcome counted against the tuned model.
        delta_best: `delta` with every unknown outcome counted for the tuned model.
        margin: The declared margin; None for a row that is shown but not gated.
        p: One-sided p-value that the tuned model is worse (unknown outcomes in its favour).
        p_holm: The same after Holm over its family.
        flips: Pairs that became worse and better.
        unscored: Unknown outcomes by arm.
        outcomes: Outcome counts by arm.
        tuned_interval: Two-sided 95 % interval of the tuned model's own rate (worst case).
        limit: A limit on the tuned model alone, where the policy sets one.
        second: The second judge's view, where there is one.
        adjudicated: The bound corrected by human labels, where there are any.
        sequential: E-values and the anytime bound, where the policy lets the audit stop early.
        verdict: pass, fail or inconclusive; ungated where the policy sets no margin.
        reasons: Why, in plain words.
    """

    name: str
    axis: str
    probe: str
    hazard: str
    n: int
    units: int
    base: float
    tuned: float
    delta: float
    lower: float
    upper: float
    upper_worst: float
    delta_best: float
    margin: float | None
    p: float
    p_holm: float = 1.0
    flips: Mapping[str, int] = field(default_factory=dict)
    unscored: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tuned_interval: tuple[float, float] = (0.0, 1.0)
    limit: Mapping[str, Any] | None = None
    second: Mapping[str, Any] | None = None
    adjudicated: Mapping[str, Any] | None = None
    sequential: Mapping[str, float] | None = None
    verdict: Verdict = "inconclusive"
    reasons: tuple[str, ...] = ()


def overall(axes: Sequence[Row], hazards: Sequence[Row], policy: Policy) -> Verdict:
    """The audit's verdict: the gravest of its gated rows; a hazard row can fail it."""
    gated: list[Verdict] = [row.verdict for row in axes if row.verdict != "ungated"]
    for row in hazards:
        if row.hazard in policy.margins.hazards or row.verdict == "fail":
            gated.append(row.verdict)
    if not gated:
        return "inconclusive"
    return max(gated, key=lambda verdict: _GRAVITY[verdict])
