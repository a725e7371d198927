"""The benchmark's results: means with intervals, as lines and as Markdown, and the published shape."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from holdfast.lab.bench.arms import ATTACKS, AUTO, DEFENCES

Record = dict[str, Any]
RATES: tuple[str, ...] = ("harm", "harm_attack", "over_refusal", "capability", "task")
ORDER: tuple[str, ...] = ("base", *DEFENCES, AUTO)
SHAPE: tuple[str, ...] = ("explicit-100", "identity-10", "benign-howto-200")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its 95 % interval (Student's t; the mean alone for one seed)."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if self.n < 2 or self.low == self.high:
            return f"{self.mean:.2f}"
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, slots=True)
class Line:
    """One attack under one defence, over its seeds.

    Attributes:
        rates: Estimates on the confirmation prompts, by axis.
        cost: Training time over that of plain training on the same data, mean over seeds.
        chose: What the automatic choice took over the seeds: each name and how often; empty
            for the other defences.
    """

    attack: str
    defence: str
    rates: dict[str, Estimate]
    cost: float | None
    chose: dict[str, int]

    @property
    def name(self) -> str:
        """The defence, and what the automatic choice took."""
        if not self.chose:
            return self.defence
        return f"{self.defence} ({', '.join(f'{name} {count}' for name, count in self.chose.items())})"


def summary(records: Sequence[Record]) -> list[Line]:
    """One line per attack and defence, in the order of the tables."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["attack"], record["defence"]), []).append(record)
    plain = {(r["base"], r["attack"], r["seed"]): r["seconds"] for r in records if r["defence"] == "none"}
    keys = sorted(groups, key=lambda key: (list(ATTACKS).index(key[0]), ORDER.index(key[1])))
    return [_line(attack, defence, groups[attack, defence], plain) for attack, defence in keys]


def markdown(records: Sequence[Record]) -> str:
    """The table for the docs."""
    head = ("attack", "defence", *(name.replace("_", " ") for name in RATES), "cost", "n")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in summary(records):
        cells = [str(line.rates[name]) if name in line.rates else "" for name in RATES]
        cost = "" if line.cost is None else f"{line.cost:.1f}x"
        lines.append(
            "| " + " | ".join([line.attack, line.name, *cells, cost, str(line.rates["harm"].n)]) + " |"
        )
    return "\n".join(lines) + "\n"


def shape(records: Sequence[Record]) -> dict[str, Any]:
    """Whether undefended harm falls as published: explicit > identity > benign > base (Qi et al.)."""
    found = {(line.attack, line.defence): line.rates["harm"].mean for line in summary(records)}
    means = {name: found.get((name, "none")) for name in SHAPE}
    means["base"] = next((mean for (_, defence), mean in found.items() if defence == "base"), None)
    pairs = list(zip(means, list(means)[1:], strict=False))
    holds = {
        f"{left} > {right}": None if None in (means[left], means[right]) else means[left] > means[right]  # type: ignore[operator]
        for left, right in pairs
    }
    return {"harm": means, "holds": holds}


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of a mean over seeds, cut to [0, 1]."""
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, mean, mean, len(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half), len(values))


def _line(attack: str, defence: str, group: list[Record], plain: dict[tuple[str, str, int], float]) -> Line:
    rates = {
        axis: estimate([record["confirm"][axis] for record in group])
        for axis in RATES
        if all(axis in record["confirm"] for record in group)
    }
    ratios = [
        record["seconds"] / plain[place]
        for record in group
        if "seconds" in record and (place := (record["base"], attack, record["seed"])) in plain
    ]
    chosen = Counter(record["chose"] for record in group if "chose" in record)
    return Line(
        attack, defence, rates, float(np.mean(ratios)) if ratios else None, dict(chosen.most_common())
    )
