"""Error rates, zero-flip bounds and power of the paired bounds; judge error with human labels.

    python benchmarks/audit_statistics.py [--runs 1000]

The first three tables sum over every possible table of counts (no simulation error); the Wald,
bootstrap and judge-error columns are simulated.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import binom, t

from holdfast.audit.judge_error import Stratum, corrected
from holdfast.audit.power import power
from holdfast.audit.statistics import bonett_price, pass_probability, tango_upper

Z = 1.6448536269514722


def simulated(n: int, worse: float, better: float, margin: float, runs: int) -> tuple[float, float, float]:
    """False-pass rates of Wald, the percentile bootstrap and Bonett-Price."""
    rng = np.random.default_rng(n)
    tables = rng.multinomial(n, [worse, better, 1 - worse - better], size=runs)
    b, c = tables[:, 0], tables[:, 1]
    delta = (b - c) / n
    wald = delta + Z * np.sqrt(((b + c) / n - delta**2) / n)
    boot = np.empty(runs)
    for i in range(runs):
        again = rng.multinomial(n, tables[i] / n, size=400)
        boot[i] = np.quantile((again[:, 0] - again[:, 1]) / n, 0.95)
    price = np.array([bonett_price(int(x), int(y), n).upper for x, y in zip(b, c, strict=True)])
    return tuple(float((upper < margin).mean()) for upper in (wald, boot, price))  # type: ignore[return-value]


def false_passes(runs: int) -> None:
    """A model exactly on a margin of five points."""
    print("| n | flips to worse, better | Wald | bootstrap | Bonett-Price | Tango | Holdfast (Tango + 0.3) |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    for n in (100, 200, 400):
        for better in (0.0, 0.01, 0.05):
            worse = better + 0.05
            wald, boot, price = simulated(n, worse, better, 0.05, runs)
            plain = pass_probability(n, worse, better, 0.05, correction=0)
            ours = pass_probability(n, worse, better, 0.05)
            cells = " | ".join(f"{100 * rate:.1f} %" for rate in (wald, boot, price, plain, ours))
            print(f"| {n} | {100 * worse:.0f} %, {100 * better:.0f} % | {cells} |")
    grid = [
        (n, better, margin)
        for n in (20, 30, 50, 80, 100, 150, 200, 220, 300, 400, 500)
        for margin in (0.01, 0.02, 0.03, 0.05, 0.1, 0.15)
        for better in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2)
    ]
    for name, correction in (("plain Tango", 0.0), ("with 0.3", 0.3)):
        worst = max(pass_probability(n, b + m, b, m, correction=correction) for n, b, m in grid)
        print(f"\nworst of {len(grid)} settings, {name}: {100 * worst:.2f} %")
    worst, n, margin = max((t_interval(n, m), n, m) for n, _, m in grid)
    print(
        f"\nworst t interval over clusters: {100 * worst:.1f} % (n = {n}, margin {100 * margin:.0f} points)"
    )


def t_interval(n: int, margin: float) -> float:
    """False-pass rate of a t interval over clusters (one added at +1, one at -1), flips all to worse."""
    flips = np.arange(n + 1)
    mean = flips / (n + 2)
    upper = mean + t.ppf(0.95, n - 1) * np.sqrt(((flips + 2) / (n + 2) - mean**2) / (n + 2))
    return float(binom.pmf(flips[upper < margin], n, margin).sum())


def zero_flips() -> None:
    """The bound when nothing flipped."""
    print("\n| n | Wald, bootstrap | Bonett-Price | Tango | Holdfast |")
    print("|--:|--:|--:|--:|--:|")
    for n in (50, 100, 200, 300, 500, 1000):
        bounds = (bonett_price(0, 0, n).upper, tango_upper(0, 0, n, correction=0), tango_upper(0, 0, n))
        print(f"| {n} | 0 | " + " | ".join(f"{100 * bound:.2f} pt" for bound in bounds) + " |")


def powers() -> None:
    """Chance to pass when nothing changed but chance flips."""
    sizes = (50, 100, 200, 300, 500, 1000)
    print("\n| margin | chance flips each way | " + " | ".join(f"n = {n}" for n in sizes) + " |")
    print("|--:|--:|" + "--:|" * len(sizes))
    for margin in (0.02, 0.03, 0.05, 0.10):
        for rate in (0.01, 0.03):
            cells = " | ".join(f"{power(n, margin, rate).power:.2f}" for n in sizes)
            print(f"| {100 * margin:.0f} pt | {100 * rate:.0f} % | {cells} |")


def judged(rng: np.random.Generator, labels: int) -> tuple[float, float, float, float]:
    """One audit with a judge that drifts: naive upper, corrected upper, naive and corrected delta."""
    n, truth = 300, rng.choice([0.0, 0.06])
    base = rng.random(n) < 0.02
    tuned = base | (rng.random(n) < truth)
    said = [
        np.where(base, rng.random(n) < 0.9, rng.random(n) < 0.03),
        np.where(tuned, rng.random(n) < 0.9, rng.random(n) < 0.10),
    ]
    strata = []
    for a in (False, True):
        for b in (False, True):
            members = np.flatnonzero((said[0] == a) & (said[1] == b))
            if len(members):
                size = len(members) if a != b else min(len(members), labels)
                pick = rng.choice(members, size, replace=False)
                worse, better = (~base[pick] & tuned[pick]).sum(), (base[pick] & ~tuned[pick]).sum()
                strata.append(Stratum(len(members), size, int(worse), int(better)))
    real = float(tuned.mean() - base.mean())
    worse, better = int((~said[0] & said[1]).sum()), int((said[0] & ~said[1]).sum())
    found = corrected(strata)
    return (
        float(tango_upper(worse, better, n) >= truth * 0.98),
        float(found.upper >= truth * 0.98),
        (worse - better) / n - real,
        found.delta - real,
    )


def judge_errors(runs: int) -> None:
    """Coverage and bias with a judge whose specificity drops from .97 to .90 on tuned text."""
    print("\n| labelled beside the flips | bias, judge only | bias, labels | coverage of the bound |")
    print("|--:|--:|--:|--:|")
    for labels in (30, 60, 120):
        rng = np.random.default_rng(labels)
        found = np.array([judged(rng, labels) for _ in range(runs)])
        _, held, naive, ours = found.mean(axis=0)
        print(f"| {labels} | {100 * naive:+.1f} pt | {100 * ours:+.1f} pt | {100 * held:.1f} % |")


def main() -> None:
    """Print the tables of docs/statistics.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    false_passes(runs)
    zero_flips()
    powers()
    judge_errors(min(runs, 1000))


if __name__ == "__main__":
    main()
