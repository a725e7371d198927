"""Measure the slices of the evidence: numbers first, then the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from holdfast.audit.adjudication import judge_error
from holdfast.audit.limits import anytime_rate_bounds, limit, rate_bounds
from holdfast.audit.pairs import Pairs, collect, summarise
from holdfast.audit.policy import Policy
from holdfast.audit.rows import Row
from holdfast.audit.sequential import anytime_upper, e_within, e_worse
from holdfast.audit.slices import Evidence, Slice, axis_slices, hazard_slices
from holdfast.audit.statistics import ALPHA, holm
from holdfast.audit.units import Record
from holdfast.audit.verdicts import decide


def measured(evidence: Evidence, policy: Policy) -> tuple[list[Row], list[Row]]:
    """Rows per axis and probe (which gate), and rows per hazard.

    A pass needs every gated row to pass (no correction needed); a fail needs a regression that
    is significant after Holm over its family and whose estimate lies beyond the margin. An audit
    that may stop early spends half of its error on the looks and half on the end.
    """
    alpha = ALPHA / 2 if policy.early_stop else ALPHA
    axes = [_row(part, evidence, policy, alpha) for part in axis_slices(evidence.records, policy)]
    hazards = [_row(part, evidence, policy, alpha) for part in hazard_slices(evidence.records, policy)]
    return tuple(_decided(rows, evidence, policy, alpha) for rows in (axes, hazards))  # type: ignore[return-value]


def _row(part: Slice, evidence: Evidence, policy: Policy, alpha: float) -> Row:
    chosen = [record for record in evidence.records if part.holds(record)]
    pairs = collect(chosen, part.value)
    scored = summarise(pairs.scored(), alpha)
    worst, best = (summarise(pairs.filled(*fill), alpha) for fill in ((0.0, 1.0), (1.0, 0.0)))
    bounds = rate_bounds if evidence.complete or not policy.early_stop else anytime_rate_bounds
    own = policy.margins.hazards.get(part.hazard) if part.hazard else None
    margin = own or policy.margin(part.axis)
    row = Row(
        name=part.name,
        axis=part.axis,
        probe=part.probe,
        hazard=part.hazard,
        n=worst.n,
        units=worst.units,
        base=scored.base,
        tuned=scored.tuned,
        delta=scored.interval.delta,
        lower=scored.interval.lower,
        upper=scored.interval.upper,
        upper_worst=max(worst.interval.upper, scored.interval.upper),
        delta_best=best.interval.delta,
        margin=margin,
        p=best.p,
        flips={"worse": scored.worse, "better": scored.better},
        unscored={"base": int(np.isnan(pairs.base).sum()), "tuned": int(np.isnan(pairs.tuned).sum())},
        outcomes={arm: dict(Counter(r.outcome for r in chosen if r.arm == arm)) for arm in ("base", "tuned")},
        tuned_interval=bounds(pairs, ALPHA / 2),
        limit=None
        if part.hazard or part.probe != "default"
        else limit(part.axis, pairs, policy, alpha, bounds),
        second=None if part.axis == "coherence" else _second(chosen, alpha),
        adjudicated=_adjudicated(part, evidence, alpha),
        sequential=_sequential(pairs, margin, alpha) if policy.early_stop else None,
    )
    return row if evidence.complete or row.sequential is None else _at_any_time(row, row.sequential)


def _at_any_time(row: Row, sequential: Mapping[str, float]) -> Row:
    """After an early stop only the bounds that hold at every look are valid."""
    upper = sequential["upper"]
    return replace(row, lower=sequential["lower"], upper=upper, upper_worst=upper)


def _decided(rows: list[Row], evidence: Evidence, policy: Policy, alpha: float) -> list[Row]:
    gated = [row for row in rows if row.margin is not None]
    adjusted = dict(zip((row.name for row in gated), holm([row.p for row in gated]), strict=True))
    return [
        decide(
            replace(row, p_holm=adjusted.get(row.name, 1.0)),
            policy,
            alpha,
            family=len(gated),
            complete=evidence.complete,
        )
        for row in rows
    ]


def _second(records: Sequence[Record], alpha: float) -> dict[str, Any] | None:
    """The difference by the second judge; where it was not asked the first one's view stands."""
    if all(record.second is None for record in records):
        return None
    summary = summarise(collect(records, lambda r: r.bad if r.second is None else r.second).scored(), alpha)
    return {"delta": summary.interval.delta, "upper": summary.interval.upper, "p": summary.p}


def _adjudicated(part: Slice, evidence: Evidence, alpha: float) -> dict[str, Any] | None:
    if not evidence.labels or part.axis == "coherence":
        return None
    found = judge_error([r for r in evidence.judged if part.holds(r)], evidence.labels, alpha)
    return None if found is None else {"delta": found.delta, "upper": found.upper, "pairs": found.labelled}


def _sequential(pairs: Pairs, margin: float | None, alpha: float) -> dict[str, float]:
    """E-values and bounds per cluster, unknown outcomes against the claim that each supports."""
    worst, best = pairs.filled(0.0, 1.0), pairs.filled(1.0, 0.0)
    against = worst.means(worst.tuned - worst.base)
    favour = best.means(best.tuned - best.base)
    return {
        "worse": e_worse(favour),
        "within": e_within(against, margin) if margin else 0.0,
        "lower": -anytime_upper(-favour, alpha),
        "upper": anytime_upper(against, alpha),
    }
