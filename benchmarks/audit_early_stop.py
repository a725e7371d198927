"""What looking early saves, and that it keeps its error rates, by simulation.

    python benchmarks/audit_early_stop.py [--runs 500]

An audit of 400 prompts, looked at after every 64, margin five points. Looks and the final test
share the error of 5 % (policy `early_stop: true`). `exact McNemar, every look` shows what happens
to a tester who stops at the first p <= 0.05.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from holdfast.audit.sequential import e_within, e_worse
from holdfast.audit.statistics import mcnemar, tango_upper

N, LOOK, MARGIN, ALPHA = 400, 64, 0.05, 0.025
CASES = (
    ("unchanged, no flips", 0.0, 0.0),
    ("unchanged, 1 % flips each way", 0.01, 0.01),
    ("unchanged, 3 % flips each way", 0.03, 0.03),
    ("on the margin (5 pt worse)", 0.06, 0.01),
    ("6 pt worse (8 % against 2 %)", 0.07, 0.01),
    ("14 pt worse (15 % against 1 %)", 0.145, 0.005),
    ("40 pt worse", 0.41, 0.01),
)


def audit(d: NDArray[np.float64]) -> tuple[str, int]:
    """Verdict and number of prompts asked, of one audit whose differences come in this order."""
    for asked in range(LOOK, N, LOOK):
        seen = d[:asked]
        if e_worse(seen) >= 1 / ALPHA and seen.mean() > MARGIN:
            return "fail", asked
        if e_within(seen, MARGIN) >= 1 / ALPHA:
            return "pass", asked
    worse, better = int((d > 0).sum()), int((d < 0).sum())
    if mcnemar(worse, better) <= ALPHA and d.mean() > MARGIN:
        return "fail", N
    return ("pass" if tango_upper(worse, better, N, ALPHA) < MARGIN else "inconclusive"), N


def peeking(d: NDArray[np.float64]) -> bool:
    """Whether exact McNemar at 5 % raises an alarm at any look."""
    looks = [*range(20, N, 20), N]
    return any(mcnemar(int((d[:k] > 0).sum()), int((d[:k] < 0).sum())) <= 0.05 for k in looks)


def main() -> None:
    """Print the table of docs/statistics.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    runs = parser.parse_args().runs
    print("| case | pass | fail | inconclusive | median prompts asked | saved | exact McNemar, every look |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, worse, better in CASES:
        rng = np.random.default_rng(7)
        draws = rng.random((runs, N))
        d = np.where(draws < worse, 1.0, np.where(draws < worse + better, -1.0, 0.0))
        found = [audit(row) for row in d]
        share = {
            verdict: np.mean([v == verdict for v, _ in found]) for verdict in ("pass", "fail", "inconclusive")
        }
        asked = np.array([n for _, n in found])
        alarms = np.mean([peeking(row) for row in d[: min(runs, 400)]])
        rates = " | ".join(f"{100 * rate:.1f} %" for rate in share.values())
        saved = 100 * (1 - asked.mean() / N)
        print(
            f"| {name} | {rates} | {np.median(asked):.0f} | {saved:.0f} % | {100 * alarms:.1f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
