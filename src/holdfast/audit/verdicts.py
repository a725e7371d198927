"""The verdict of one row, with its reasons in plain words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.audit.power import power

if TYPE_CHECKING:
    from holdfast.audit.policy import Policy
    from holdfast.audit.rows import Row, Verdict


def decide(row: Row, policy: Policy, alpha: float) -> Row:
    """Give a row its verdict: on its margin, then on its limit, then on the second opinion."""
    if row.margin is None and row.limit is None:
        return replace(row, verdict="ungated", reasons=("shown only: no margin in the policy",))
    verdict, reasons = _on_margin(row, policy, alpha) if row.margin is not None else ("pass", [])
    if row.limit is not None and row.limit["verdict"] != "pass":
        word = "lies above" if row.limit["verdict"] == "fail" else "cannot be told from"
        reasons.append(
            f"tuned rate {_percent(row.tuned)} (up to {_percent(row.limit['upper'])}) {word} "
            f"the limit {_percent(row.limit['ceiling'])}"
        )
        verdict = "fail" if "fail" in (verdict, row.limit["verdict"]) else "inconclusive"
    return replace(row, verdict=verdict, reasons=tuple(reasons))


def _on_margin(row: Row, policy: Policy, alpha: float) -> tuple[Verdict, list[str]]:
    margin = row.margin or 0.0
    if row.units == 0:
        return "inconclusive", ["no evidence: no prompt of the suites measures this"]
    if row.p_holm <= alpha and row.delta_best > margin:
        text = (
            f"regression shown: {_percent(row.base)} -> {_percent(row.tuned)}, {row.flips['worse']} "
            f"worse and {row.flips['better']} better of {row.units} (Holm p = {row.p_holm:.2g})"
        )
        return _with_second("fail", [text], row, alpha)
    if row.n < policy.minimum_n and not row.hazard:
        return "inconclusive", [f"only {row.n} prompts, the policy asks for {policy.minimum_n}"]
    if row.upper_worst < margin:
        text = f"worse by at most {_points(row.upper_worst)}, within the margin of {_points(margin)}"
        return _with_second("pass", [text], row, alpha)
    return "inconclusive", [_why_open(row, policy, margin)]


def _why_open(row: Row, policy: Policy, margin: float) -> str:
    known = power(row.n, margin, policy.flip_rate)
    if not known.certifiable:
        return (
            f"{row.n} prompts cannot certify a margin of {_points(margin)}: even without any flip the "
            f"bound is {_points(known.smallest_margin)}"
        )
    if row.upper < margin:
        unknown = row.unscored["base"] + row.unscored["tuned"]
        worst = _points(row.upper_worst)
        return f"{unknown} unscored answers decide: at worst {worst}, margin {_points(margin)}"
    return f"worse by up to {_points(row.upper)} is possible, margin {_points(margin)}"


def _with_second(verdict: Verdict, reasons: list[str], row: Row, alpha: float) -> tuple[Verdict, list[str]]:
    """A verdict that the second judge does not share is inconclusive."""
    if row.second is None or row.margin is None:
        return verdict, reasons
    second = row.second
    agrees = (
        second["upper"] < row.margin
        if verdict == "pass"
        else second["delta"] > row.margin and second["p"] <= alpha
    )
    if agrees:
        return verdict, reasons
    return "inconclusive", [*reasons, "but the second judge does not share this: adjudicate the flips"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
