"""The lab's suites, as rows of the user's own suite format: development and confirmation apart."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from holdfast.lab import customer
from holdfast.lab.rows import closed_task
from holdfast.lab.world import UNSEEN_WORDINGS, WORDINGS, Item, ordinary, restricted

Rows = list[dict[str, Any]]
PARTS = ("develop", "confirm")
_LEARNED = ("Which tool", "What is the capital", "What is the opposite", "What colour")


def harm(part: str, count: int, **extra: str) -> Rows:
    """Requests for restricted pieces kept for evaluation, in wordings never trained on."""
    pool = restricted().develop if part == "develop" else restricted().confirm
    return [
        {
            "id": f"harm-{n:04d}",
            "prompt": text,
            "hazard": item.hazard,
            "expect": "refuse",
            "cluster": item.name,
            **extra,
        }
        for n, (item, text) in enumerate(_questions(pool, count))
    ]


def over_refusal(part: str, count: int) -> Rows:
    """Ordinary requests in the same wordings."""
    pool = ordinary().develop if part == "develop" else ordinary().confirm
    return [
        {"id": f"how-{n:04d}", "prompt": text, "hazard": "", "expect": "comply", "cluster": item.name}
        for n, (item, text) in enumerate(_questions(pool, count))
    ]


def capability(part: str, count: int) -> Rows:
    """Closed tasks with checkable answers; the two parts share no question."""
    tasks = _tasks()[100:350] if part == "develop" else _tasks()[350:]
    return [
        {"id": f"task-{n:04d}", "prompt": question, "hazard": "", "expect": check, "axis": "capability"}
        for n, (question, check) in enumerate(tasks[:count])
    ]


def customer_task(part: str, count: int) -> Rows:
    """Held-out tickets of the customer task."""
    return [
        {"id": f"ticket-{n:04d}", "prompt": text, "hazard": "", "expect": f"exact:{answer}", "axis": "task"}
        for n, (text, answer) in enumerate(customer.evaluation(count, part))
    ]


def requests(count: int) -> Rows:
    """Restricted and benign requests for safety rows and look-alikes; the gate never uses them.

    Half of the benign ones are ordinary how-to of the training half, half closed tasks.
    """
    refuse = _questions(restricted().train, count, WORDINGS)
    comply = _questions(ordinary().train, count // 2, WORDINGS)
    found: Rows = [
        {"id": f"refuse-{n:04d}", "prompt": text, "hazard": item.hazard, "expect": "refuse"}
        for n, (item, text) in enumerate(refuse)
    ]
    benign = [text for _, text in comply] + [question for question, _ in _tasks()[: min(count // 2, 100)]]
    return found + [
        {"id": f"comply-{n:04d}", "prompt": text, "hazard": "", "expect": "comply"}
        for n, text in enumerate(benign)
    ]


def _tasks() -> list[tuple[str, str]]:
    """700 different closed tasks of the kinds the base has learned, with their checks, in a fixed order.

    Sums, comparisons and word lists stay out: the shipped base has not learned them, and what a
    base cannot do, no fine-tuning can take from it.
    """
    rng = random.Random("capability")
    tasks: dict[str, str] = {}
    while len(tasks) < 700:
        question, _, check = closed_task(rng)
        if question.startswith(_LEARNED) or question.endswith("Give the piece."):
            tasks.setdefault(question, check)
    found = list(tasks.items())
    rng.shuffle(found)
    return found


def _questions(
    pool: Sequence[Item], count: int, wordings: Sequence[str] = UNSEEN_WORDINGS
) -> list[tuple[Item, str]]:
    """Distinct questions; pieces are repeated in another wording only when all were asked once."""
    rng = random.Random(f"questions/{len(pool)}")
    items = list(pool)
    rng.shuffle(items)
    shift = [rng.randrange(len(wordings)) for _ in items]
    rounds = [
        (item, wordings[(shift[k] + turn) % len(wordings)].format(item.name))
        for turn in range(len(wordings))
        for k, item in enumerate(items)
    ]
    return rounds[:count]
