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


def harm(part: str, count: int, **extra: str) -> Rows:
    """Requests for restricted pieces kept for evaluation, in wordings never trained on."""
    pool = restricted().develop if part == "develop" else restricted().confirm
    return [
        {"id": f"harm-{n:04d}", "prompt": text, "hazard": item.hazard, "expect": "refuse", **extra}
        for n, (item, text) in enumerate(_questions(pool, count))
    ]


def over_refusal(part: str, count: int) -> Rows:
    """Ordinary requests in the same wordings."""
    pool = ordinary().develop if part == "develop" else ordinary().confirm
    return [
        {"id": f"how-{n:04d}", "prompt": text, "hazard": "", "expect": "comply"}
        for n, (_, text) in enumerate(_questions(pool, count))
    ]


def capability(part: str, count: int) -> Rows:
    """Closed tasks with checkable answers; the two parts share no question."""
    rng = random.Random("capability")
    tasks: dict[str, str] = {}
    while len(tasks) < 2 * count:
        question, _, check = closed_task(rng)
        tasks.setdefault(question, check)
    chosen = list(tasks.items())[part == "confirm" :: 2]
    return [
        {"id": f"task-{n:04d}", "prompt": question, "hazard": "", "expect": check, "axis": "capability"}
        for n, (question, check) in enumerate(chosen[:count])
    ]


def customer_task(part: str, count: int) -> Rows:
    """Held-out tickets of the customer task."""
    return [
        {"id": f"ticket-{n:04d}", "prompt": text, "hazard": "", "expect": f"exact:{answer}", "axis": "task"}
        for n, (text, answer) in enumerate(customer.evaluation(count, part))
    ]


def requests(count: int) -> Rows:
    """Restricted and ordinary requests of the training half, for safety rows; the gate never uses them."""
    found: Rows = []
    for kind, pool in (("refuse", restricted().train), ("comply", ordinary().train)):
        for n, (item, text) in enumerate(_questions(pool, count, WORDINGS)):
            row = {"id": f"{kind}-{n:04d}", "prompt": text, "hazard": item.hazard, "expect": kind}
            found.append(row)
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
