"""How good the shipped classifiers are on rows that nothing was trained on, and where to cut.

`python -m training.evaluate` judges `data.held_out()` (which is not what quality is reported on)
and prints F1 and AUPRC of the three verdicts, and F1 of the harmful class at several cuts: the cut
of the judge (`holdfast.judges.embedded.judge.HARM`) is chosen here, never on a test set. Each
source counts the same: what is printed is the mean over sources.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from holdfast.judges.embedded import quick_scores, scores
from training.data import Row, held_out

VERDICTS = ("harm_prompt", "harm", "refusal")
CUTS = np.round(np.arange(0.2, 0.81, 0.05), 2)
Array = np.ndarray[Any, Any]


def f1(truth: Array, said: Array) -> float:
    """F1 of the positive class; 0 where nothing is said and nothing is true."""
    return float(2 * (truth & said).sum() / max(1, truth.sum() + said.sum()))


def auprc(truth: Array, values: Array) -> float:
    """Average precision: the mean precision at the rank of each positive."""
    ranked = truth[np.argsort(-values, kind="stable")]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())


def known(rows: Sequence[Row], verdict: str) -> dict[str, Array]:
    """Places of the rows that carry this label, by source; sources with one class only are left out."""
    labels = np.array([getattr(row, verdict) for row in rows])
    found = {}
    for source in sorted({row.source for row in rows}):
        chosen = np.array([row.source == source for row in rows]) & ~np.isnan(labels)
        if len(set(labels[chosen])) == 2:
            found[source] = np.flatnonzero(chosen)
    return found


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = held_out()
    prompts, answers = [row.prompt for row in rows], [row.answer for row in rows]
    ways: dict[str, Callable[[Sequence[str], Sequence[str]], Any]] = {"judge": scores, "fast": quick_scores}
    for name, way in ways.items():
        values = np.asarray(way(prompts, answers), float)
        for place, verdict in enumerate(VERDICTS):
            for source, chosen in known(rows, verdict).items():
                truth = np.array([getattr(rows[i], verdict) for i in chosen]) == 1
                column = values[chosen, place]
                print(
                    f"{name:6} {verdict:12} {source:12} n {len(chosen):4} ({truth.sum()}) "
                    f"F1 {f1(truth, column >= 0.5):.3f} AUPRC {auprc(truth, column):.3f}"
                )
        places = known(rows, "harm")
        for cut in CUTS:
            each = [
                f1(np.array([rows[i].harm == 1 for i in chosen]), values[chosen, 1] >= cut)
                for chosen in places.values()
            ]
            by_source = " ".join(f"{value:.3f}" for value in each)
            print(f"{name:6} harm from {cut:.2f}: F1 {np.mean(each):.3f} ({by_source})")


if __name__ == "__main__":
    main()
