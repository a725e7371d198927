"""Looking early without losing the error rate: betting e-processes on paired differences.

A bet on each cluster's difference d in [-1, 1] multiplies a capital that starts at 1. If the
hypothesis holds, the capital is a non-negative supermartingale, so that by Ville's inequality it
ever reaches 1/alpha with probability at most alpha, however often one looks and whenever one
stops. Clusters must come in random order. Source: Waudby-Smith and Ramdas, Journal of the Royal
Statistical Society B 86 (2024) 1-27; for single discordant pairs the bet of size b is the
likelihood ratio of (1 + b) / 2 against 1/2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BETS = 12


def e_worse(differences: ArrayLike) -> float:
    """Evidence that the mean difference is above 0: an e-value, the mean over 12 bet sizes.

    Args:
        differences: tuned - base per cluster, in [-1, 1], shape (clusters,).
    """
    return _capital(np.asarray(differences, np.float64), np.arange(1, _BETS + 1) / (_BETS + 1))


def e_within(
    differences: ArrayLike, margin: float, counts: ArrayLike | None = None, bets: ArrayLike | None = None
) -> float:
    """Evidence that the mean difference is below `margin`: an e-value, the mean over 12 bet sizes.

    Args:
        differences: In [-1, 1], shape (clusters,).
        margin: The difference that the hypothesis names.
        counts: How often each difference occurred, for streams that only keep counts.
        bets: Bet sizes in (0, 1 / (1 - margin)), for somebody who knows what change to expect.
    """
    gains = margin - np.asarray(differences, np.float64)
    sizes = np.arange(1, _BETS + 1) / ((_BETS + 1) * (1 - margin)) if bets is None else bets
    return _capital(gains, np.asarray(sizes, np.float64), counts)


def anytime_upper(differences: ArrayLike, alpha: float) -> float:
    """Upper bound on the mean difference that holds at every look: where `e_within` reaches 1/alpha."""
    d = np.asarray(differences, np.float64)
    low, high = -1.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if e_within(d, middle) >= 1 / alpha:
            high = middle
        else:
            low = middle
    return high


def _capital(gains: NDArray[np.float64], bets: NDArray[np.float64], counts: ArrayLike | None = None) -> float:
    if counts is None:
        values, counts = np.unique(gains, return_counts=True)
    else:
        values, counts = gains, np.asarray(counts)
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(1 + np.outer(bets, values), 0.0)) @ counts
    return float(np.exp(np.minimum(logs, 700.0)).mean())
