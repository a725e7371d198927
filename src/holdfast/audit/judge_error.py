"""From judged pairs and a few human labels to a bound that holds although the judge errs.

A fine-tuned model writes in another style than its base, and a judge errs differently on it. So
no published sensitivity is applied: people label the flips and a random part of the rest, and
each stratum of judged pairs is bounded by what they found there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.audit.statistics import ALPHA, tango_upper


@dataclass(frozen=True, slots=True)
class Stratum:
    """Pairs with one judged outcome, of which a random part was labelled by people.

    Attributes:
        size: Pairs in the stratum.
        labelled: Pairs of it with labels for both answers, chosen at random (or all).
        worse: Labelled pairs that truly went from good to bad.
        better: Labelled pairs that truly went from bad to good.
    """

    size: int
    labelled: int
    worse: int
    better: int


@dataclass(frozen=True, slots=True)
class Corrected:
    """The difference after human labels.

    Attributes:
        delta: Stratified estimate; unbiased where every stratum has labels.
        upper: One-sided bound that carries both the judge's error and the sampling of prompts.
        labelled: Pairs with labels.
    """

    delta: float
    upper: float
    labelled: int


def corrected(strata: Sequence[Stratum], alpha: float = ALPHA) -> Corrected:
    """Bound the true paired difference.

    Half of `alpha` pays for what is not labelled: in each open stratum the number of true flips
    to worse is bounded above and to better below (exact hypergeometric bounds, the finite form
    of Clopper and Pearson, Bonferroni over them). The other half is Tango's bound on those
    counts, which is monotone in both, so that the whole holds with probability 1 - alpha. With
    every pair labelled it is Tango's bound at `alpha`.
    """
    n = sum(stratum.size for stratum in strata)
    still_open = [stratum for stratum in strata if stratum.labelled < stratum.size]
    share = alpha / 2 / (2 * len(still_open)) if still_open else 0.0
    worse = sum(_most(s.worse, s.labelled, s.size, share) for s in strata)
    better = sum(_least(s.better, s.labelled, s.size, share) for s in strata)
    worse = min(worse, n - better)
    upper = tango_upper(worse, better, n, alpha / 2 if still_open else alpha)
    delta = sum(s.size * (s.worse - s.better) / s.labelled for s in strata if s.labelled) / n if n else 0.0
    return Corrected(delta, upper, sum(s.labelled for s in strata))


def _most(found: int, labelled: int, size: int, alpha: float) -> int:
    """The largest number of hits among `size` that `found` of `labelled` does not contradict."""
    from scipy.stats import hypergeom

    if labelled == size:
        return found
    totals = np.arange(found, size - (labelled - found) + 1)
    return int(totals[hypergeom.cdf(found, size, totals, labelled) > alpha].max())


def _least(found: int, labelled: int, size: int, alpha: float) -> int:
    """The smallest such number."""
    return size - _most(labelled - found, labelled, size, alpha)
