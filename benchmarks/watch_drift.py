"""Drift alarms, simulated: how often they are wrong, and how long a change goes unseen.

    python benchmarks/watch_drift.py [--lives 100]

The e-process monitor against what is usually done: a binomial test on each window of 500
exchanges, at the same alpha per window ("window"), or at alpha shared over all windows of a life
("window, shared"). A life is 20,000 exchanges. The limit is 2 %; quiet traffic sits exactly on
it (the worst case) or at 1 %.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import binom

from holdfast.watch.drift import Monitor

ALPHA, LIMIT, LIFE, WINDOW, STEP = 0.01, 0.02, 20_000, 500, 100


def monitor_alarm(hits: np.ndarray) -> int:
    monitor = Monitor("harmful", LIMIT, ALPHA)
    for start in range(0, len(hits), STEP):
        if monitor.observe([int(v) for v in hits[start : start + STEP]]):
            return monitor.alarm_at
    return 0


def window_alarm(hits: np.ndarray, alpha: float) -> int:
    counts = hits[: len(hits) // WINDOW * WINDOW].reshape(-1, WINDOW).sum(axis=1)
    wrong = np.nonzero(binom.sf(counts - 1, WINDOW, LIMIT) <= alpha)[0]
    return int((wrong[0] + 1) * WINDOW) if len(wrong) else 0


def alarms(hits: np.ndarray) -> tuple[int, int, int]:
    return monitor_alarm(hits), window_alarm(hits, ALPHA), window_alarm(hits, ALPHA * WINDOW / LIFE)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lives", type=int, default=100)
    lives = parser.parse_args().lives
    rng = np.random.default_rng(11)
    print(
        f"declared chance of a false alarm in a whole life: {ALPHA:.0%}; {lives} lives of {LIFE:,} exchanges"
    )
    print(f"{'false alarms':<34}{'e-process':>11}{'window':>9}{'window, shared':>16}")
    for rate in (LIMIT, 0.01):
        found = np.array([alarms((rng.random(LIFE) < rate).astype(np.int64)) for _ in range(lives)])
        shares = (found > 0).mean(axis=0)
        print(f"{f'quiet at {rate:.0%}':<34}{shares[0]:>11.1%}{shares[1]:>9.1%}{shares[2]:>16.1%}")
    print(f"\n{'exchanges until the alarm (median)':<34}{'e-process':>11}{'window':>9}{'window, shared':>16}")
    for quiet in (2_000, 10_000):
        for rate in (0.03, 0.05, 0.10, 0.30):
            delays: list[list[float]] = [[], [], []]
            for _ in range(max(20, lives // 5)):
                before = (rng.random(quiet) < 0.01).astype(np.int64)
                after = (rng.random(LIFE - quiet) < rate).astype(np.int64)
                for place, at in enumerate(alarms(np.concatenate([before, after]))):
                    # An alarm before the change is a false one; none at all counts as endless.
                    delays[place].append(float(at - quiet) if at > quiet else float("inf"))
            shown = [np.median(d) for d in delays]
            words = [f"{v:,.0f}" if np.isfinite(v) else "never" for v in shown]
            label = f"1 % to {rate:.0%} after {quiet:,}"
            print(f"{label:<34}{words[0]:>11}{words[1]:>9}{words[2]:>16}")


if __name__ == "__main__":
    main()
