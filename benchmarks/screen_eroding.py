"""SA: rank AUC of the rows that broke models over their controls: `python benchmarks/screen_eroding.py [MODEL]`.

Without a model the text-only stand-in; with one also the three scores from inside it.
"""

# ruff: noqa: E501
from __future__ import annotations

import sys

import numpy as np
import screen_sets as sets
from numpy.typing import NDArray

from holdfast.conversation import Conversation
from holdfast.screen.rules.eroding import text_score

GRADIENT = "benign_but_breaking/gradient-illegal-activities-anchor__"
PAIRS = {
    "Dolly, gradient match, top vs bottom": (
        f"{GRADIENT}dolly_top100.json",
        f"{GRADIENT}dolly_bottom100.json",
    ),
    "Dolly, representation match, top vs bottom": (
        "benign_but_breaking/reps__dolly_top100.jsonl",
        "benign_but_breaking/reps__dolly_bottom100.jsonl",
    ),
    "GSM8K, gradient match, top vs bottom": (
        f"{GRADIENT}gsm8k_top100.json",
        f"{GRADIENT}gsm8k_bottom100.json",
    ),
    "GSM8K, gradient match, top vs random": (
        f"{GRADIENT}gsm8k_top100.json",
        "benign_but_breaking/gsm8k_random100.jsonl",
    ),
}


def auc(high: NDArray[np.float64], low: NDArray[np.float64]) -> float:
    """Chance that a row of `high` outranks one of `low`, ties counted half."""
    return float(((high[:, None] > low) + 0.5 * (high[:, None] == low)).mean())


def main() -> None:
    """Print one line per pair of sets."""
    sets.require_data()
    inside = None
    if len(sys.argv) > 1:
        from holdfast.screen.representation import open_inside

        inside = open_inside(sys.argv[1])
    lines = []
    for name, paths in PAIRS.items():
        top, control = (sets.rows(path) for path in paths)
        line: list[object] = [name, f"{auc(_by_text(top), _by_text(control)):.2f}"]
        if inside is not None:
            both = [inside.scores([(r.prompt, r.answer) for r in part]) for part in (top, control)]
            line += [
                f"{auc(getattr(both[0], k), getattr(both[1], k)):.2f}"
                for k in ("anchors", "projection", "gradient")
            ]
        lines.append(line)
    header = ["pair", "text-only stand-in"] + (["anchors", "projection", "gradient"] if inside else [])
    sets.table(header, lines)


def _by_text(rows: list[Conversation]) -> NDArray[np.float64]:
    return np.array([text_score(row.last_user, row.answer) for row in rows])


if __name__ == "__main__":
    main()
