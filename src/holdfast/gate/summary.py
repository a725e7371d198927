"""Markdown for `$GITHUB_STEP_SUMMARY` and pull-request comments."""

from __future__ import annotations

from holdfast.gate.decide import Decision

_MARK = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "⚠️ inconclusive"}


def summary(decision: Decision) -> str:
    """The decision as a short Markdown page: verdict, table, reasons, digests."""
    lines = [f"## Holdfast: {_MARK[decision.verdict]}", ""]
    lines += [
        "| row | n | base | tuned | change | at most | margin | verdict |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in decision.rows:
        margin = "" if row.margin is None else f"{100 * row.margin:.1f} pt"
        change = f"{100 * row.delta:+.1f} pt | {100 * row.upper_worst:+.1f} pt | {margin}"
        rates = f"{row.n} | {100 * row.base:.1f} % | {100 * row.tuned:.1f} %"
        lines.append(f"| {row.name} | {rates} | {change} | {_MARK[row.verdict]} |")
    lines += ["", "Rates are shares of bad outcomes; *at most* is the one-sided 95 % bound.", ""]
    lines += [f"- {reason}" for reason in decision.reasons]
    digests = decision.digests
    lines += [
        "",
        f"policy `{str(digests['policy'])[:12]}`, base `{digests['base']['weights'][:12]}`, "
        f"tuned `{(digests['tuned']['adapter'] or digests['tuned']['weights'])[:12]}`",
        "",
    ]
    return "\n".join(lines)
