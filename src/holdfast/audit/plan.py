"""What an audit will be able to say, worked out before anything is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.audit.policy import Policy
from holdfast.audit.power import ENOUGH_POWER, Power, power
from holdfast.audit.statistics import ALPHA
from holdfast.suites.base import Suite


@dataclass(frozen=True)
class Plan:
    """Power per gated axis, and what cannot be certified.

    Attributes:
        axes: What the suites can show, by axis.
        reasons: Why a pass is impossible, in plain words; empty if one is possible.
        warnings: Where a pass is unlikely even for an unchanged model.
    """

    axes: Mapping[str, Power]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def certifiable(self) -> bool:
        """Whether the audit can end in a pass."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """As written to `audit.json` under `power`."""
        axes = {name: {**asdict(p), "certifiable": p.certifiable} for name, p in self.axes.items()}
        return {"axes": axes, "reasons": list(self.reasons), "warnings": list(self.warnings)}

    @property
    def summary(self) -> str:
        """One line for the terminal."""
        if self.reasons:
            return f"cannot be certified: {'; '.join(self.reasons)}"
        sizes = ", ".join(f"{name.replace('_', '-')} {p.n}" for name, p in self.axes.items())
        weakest = min(self.axes.values(), key=lambda p: p.power, default=None)
        if weakest is None:
            return "no axis is gated"
        return (
            f"prompts per axis: {sizes}; an unchanged model passes the weakest in {100 * weakest.power:.0f} %"
        )

    def lines(self) -> list[str]:
        """For people, one line per axis."""
        return [
            f"{name}: {p.n} prompts, margin {100 * p.margin:.1f} points, smallest certifiable "
            f"{100 * p.smallest_margin:.1f}, chance to pass unchanged {100 * p.power:.0f} % "
            f"(at {100 * p.flip_rate:.1f} % chance flips each way)"
            for name, p in self.axes.items()
        ]


def plan(policy: Policy, suites: Sequence[Suite]) -> Plan:
    """Work out the power of `suites` for the margins of `policy`."""
    axes: dict[str, Power] = {}
    reasons: list[str] = []
    for axis, n in _sizes(policy, suites).items():
        margin = policy.margin(axis)
        if margin is None:
            continue
        known = power(n, margin, policy.flip_rate, ALPHA / 2 if policy.early_stop else ALPHA)
        axes[axis] = known
        reasons += _reasons(axis, known, policy)
    names = {suite.name for suite in suites}
    reasons += [f"required suite '{name}' is missing" for name in policy.suites if name not in names]
    warnings = [
        f"{axis}: an unchanged model passes in only {100 * p.power:.0f} % of audits"
        + (f"; {p.enough} prompts would make it 80 %" if p.enough else "")
        for axis, p in axes.items()
        if p.certifiable and p.power < ENOUGH_POWER
    ]
    return Plan(axes, tuple(reasons), tuple(warnings))


def _sizes(policy: Policy, suites: Sequence[Suite]) -> dict[str, int]:
    """Independent clusters per axis, required axes first."""
    clusters: dict[str, set[str]] = {axis: set() for axis in policy.required_axes}
    for suite in suites:
        for prompt in suite.prompts:
            cluster = f"{suite.name}/{prompt.cluster or prompt.id}"
            clusters.setdefault(prompt.axis, set()).add(cluster)
            clusters.setdefault("coherence", set()).add(cluster)
    return {axis: len(found) for axis, found in clusters.items()}


def _reasons(axis: str, known: Power, policy: Policy) -> list[str]:
    if known.n == 0:
        return [f"{axis}: the policy requires it, but no prompt of the suites measures it"]
    if not known.certifiable:
        return [
            f"{axis}: {known.n} prompts cannot certify a margin of {100 * known.margin:.1f} points "
            f"(smallest possible: {100 * known.smallest_margin:.1f})"
        ]
    if known.n < policy.minimum_n:
        return [f"{axis}: only {known.n} prompts, the policy asks for {policy.minimum_n}"]
    return []
