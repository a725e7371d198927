"""Drift: is a rate above what it was, with a declared chance of ever being wrong about it?

One monitor tests "the rate is at most p" on a stream of yes and no. Its evidence is a mixture of
betting e-processes (`holdfast.audit.sequential.e_within`) that begin at different times: the one
that begins at epoch k has the weight 1 / ((k + 1)(k + 2)), and counts as 1 before it begins. The
mixture is a non-negative supermartingale that starts at 1, so by Ville's inequality it ever
reaches 1 / alpha with probability at most alpha, over the whole life of the monitor, however
often one looks. Late beginnings are what finds a change after a long quiet time soon (compare
Shin, Ramdas and Rinaldo, "E-detectors", 2023). Several monitors share alpha equally (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from holdfast.audit.sequential import e_within
from holdfast.audit.statistics import clopper_pearson
from holdfast.watch.policy import Baseline, Drift

_KEPT = 64
_BASELINE_ALPHA = 0.01
_ODDS_RATIOS = (1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 50.0)
FAMILIES = ("HC", "ID", "RS", "EN", "PI")


@dataclass
class Monitor:
    """One rate under watch; its whole state is a few numbers.

    Attributes:
        name: What it counts (see `holdfast.watch.policy.Drift`).
        limit: The rate that is still fine.
        alpha: Chance of a false alarm, ever.
        epoch: Observations between the beginnings of two tests.
        n: Observations so far.
        hits: How many were yes.
        starts: `[k, n, hits]` when each test that is still kept began.
        evidence: The mixture now.
        peak: Its highest value.
        alarm_at: The observation at which the alarm was raised; 0 for none.
    """

    name: str
    limit: float
    alpha: float
    epoch: int = 500
    n: int = 0
    hits: int = 0
    starts: list[list[int]] = field(default_factory=list)
    evidence: float = 1.0
    peak: float = 1.0
    alarm_at: int = 0

    def observe(self, values: Sequence[int]) -> bool:
        """Take observations in order; True when they raise the alarm for the first time."""
        raised = False
        at = 0
        while at < len(values):
            if self.n % self.epoch == 0:
                self.starts.append([self.n // self.epoch, self.n, self.hits])
                self.starts = self.starts[:1] + self.starts[1:][-_KEPT:]
            step = min(len(values) - at, self.epoch - self.n % self.epoch)
            self.n += step
            self.hits += sum(values[at : at + step])
            at += step
            self.evidence = self._evidence()
            self.peak = max(self.peak, self.evidence)
            if self.peak >= 1 / self.alpha and not self.alarm_at:
                self.alarm_at, raised = self.n, True
        return raised

    def _evidence(self) -> float:
        bets = _bets(self.limit)
        begun = self.starts[-1][0] + 1
        total = 1 / (begun + 1)  # the weight of the tests that are still to begin
        for k, n, hits in self.starts:
            yes, no = self.hits - hits, self.n - n - self.hits + hits
            total += e_within([0.0, 1.0], 1 - self.limit, [yes, no], bets) / ((k + 1) * (k + 2))
        return total

    @property
    def rate(self) -> float | None:
        """Share of yes over all observations."""
        return self.hits / self.n if self.n else None

    def to_json(self) -> dict[str, Any]:
        """The state as plain data."""
        return asdict(self)


def _bets(limit: float) -> list[float]:
    """One bet for each odds ratio: its capital is the likelihood ratio of that rate against the limit.

    Even bet sizes would be far too bold for small rates: at a limit of 2 % the smallest of twelve
    loses against a true rate of 5 %.
    """
    odds = [ratio * limit / (1 - limit) for ratio in _ODDS_RATIOS]
    return [(o / (1 + o) - limit) / (limit * (1 - limit)) for o in odds]


def monitors(drift: Drift) -> dict[str, Monitor]:
    """Fresh monitors of a policy, sharing its alpha."""
    count = max(1, len(drift.baselines))
    return {
        name: Monitor(name, limit(baseline, drift.margin), drift.alpha / count, drift.epoch)
        for name, baseline in drift.baselines.items()
    }


def limit(baseline: Baseline, margin: float) -> float:
    """The rate that is still fine: the baseline's upper 99 % bound, plus the margin, within (0, 1)."""
    hits = round(baseline.rate * baseline.n)
    upper = clopper_pearson(hits, baseline.n, _BASELINE_ALPHA)[1]
    return min(max(upper + margin, 1e-6), 1 - 1e-6)


def indicator(name: str, record: dict[str, Any]) -> int | None:
    """What one finished exchange means for a monitor: yes, no, or nothing to say.

    `over_refusal` counts refusals among requests that no rule found anything in: an upper bound,
    since a harmful request may look harmless to the rules.
    """
    if record.get("unscreened"):
        return None
    kind, _, what = name.partition(":")
    if kind == "rule":
        return int(any(code.startswith(what) for code in record["codes"]))
    if not record["outcome"] or record["outcome"] in ("unscored", "empty", "truncated", "incoherent"):
        return None
    harmful = record["outcome"] == "harmful"
    if kind == "harmful":
        return int(harmful and (not what or record["hazard"] == what))
    if kind == "refusal":
        return int(bool(record["refused"]))
    if kind == "refusal_low":
        return int(not record["refused"])
    if kind == "over_refusal":
        return None if record["codes"] else int(bool(record["refused"]))
    return None


def feed(watched: Iterable[Monitor], records: Sequence[dict[str, Any]]) -> list[Monitor]:
    """Show finished exchanges to the monitors; returns those whose alarm this raises."""
    raised = []
    for monitor in watched:
        seen = (indicator(monitor.name, record) for record in records)
        values = [value for value in seen if value is not None]
        if monitor.observe(values):
            raised.append(monitor)
    return raised
