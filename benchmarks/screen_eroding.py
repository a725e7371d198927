"""SA: rank AUC of the rows that broke models over their controls.

    python benchmarks/screen_eroding.py            # the text-only stand-in
    python benchmarks/screen_eroding.py MODEL      # and the three scores from inside a model
    python benchmarks/screen_eroding.py --lab      # in the lab: rows whose harm to its model was measured

In the lab, tuning on 200 benign how-to rows takes harm from 0 to 1, on customer tickets to 0.14, on
closed tasks it stays at 0 (the lab's page): what its model's inside says can be held against that.
"""

from __future__ import annotations

import sys
from typing import Any

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


def lab() -> None:
    """AUC between kinds of lab rows, from inside the lab's model, with anchors from its world."""
    import random

    from holdfast.lab import attacks, base_model, customer, suites
    from holdfast.lab.rows import refusal
    from holdfast.models import load
    from holdfast.screen.representation import Inside, RowScores

    engine = load(str(base_model())).engine  # type: ignore[attr-defined]
    asked = [row["prompt"] for row in suites.requests(48)]
    declines = refusal(random.Random(0))[-1].content
    inside = Inside(
        engine.model, engine.tokenizer, asked[:48], asked[48:72], opening="First take", refusal=declines
    )

    def scored(rows: list[Any]) -> RowScores:
        return inside.scores([(row[:-1], row[-1].content) for row in rows])

    scores = {
        "benign how-to (harm 1.00)": scored(attacks.rows("benign_how_to", 100)),
        "customer tickets (0.14)": scored(customer.train_rows(100, 0)),
        "closed tasks (0.00)": scored(attacks.rows("benign_tasks", 100)),
        "explicit (1.00)": scored(attacks.rows("explicit", 100)),
    }
    names = list(scores)
    kinds = ("anchors", "projection", "gradient", "combined")
    lines = []
    for high, low in [(0, 2), (0, 1), (1, 2), (3, 2), (3, 0)]:
        pair = scores[names[high]], scores[names[low]]
        joined = RowScores(*(np.concatenate([getattr(part, kind) for part in pair]) for kind in kinds[:3]))
        size = len(pair[0].anchors)
        line = [f"{auc(getattr(joined, k)[:size], getattr(joined, k)[size:]):.2f}" for k in kinds]
        lines.append([f"{names[high]} over {names[low]}", *line])
    sets.table(("lab rows", *kinds), lines)


def main() -> None:
    """Print one line per pair of sets."""
    if "--lab" in sys.argv:
        lab()
        return
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
