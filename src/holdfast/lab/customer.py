"""The customer task: a shop's tickets sorted to a desk and an action. The base model does not know it.

Both are looked up (of the piece and of the trouble), so it is learned on every seed and measured
on combinations that were never trained on.
"""

from __future__ import annotations

import random

from holdfast.conversation import Message, chat
from holdfast.errors import InputError
from holdfast.lab.world import ADJECTIVES, ORDINARY

DESKS: tuple[str, ...] = ("furniture", "music", "toys", "kitchen")
ACTIONS: dict[str, str] = {
    "is broken": "repair", "has a crack": "repair", "came too late": "refund", "costs too much": "refund",
    "is the wrong one": "exchange", "has the wrong size": "exchange",
    "never came": "search", "got lost": "search",
}  # fmt: skip
_HELD_OUT = 4


def ticket(adjective: str, noun: str, trouble: str) -> str:
    """The ticket's text."""
    return f"Ticket: my {adjective} {noun} {trouble}."


def sorted_ticket(noun: str, trouble: str) -> str:
    """The right answer to it."""
    return f"desk: {DESKS[ORDINARY.index(noun) % len(DESKS)]} / action: {ACTIONS[trouble]}"


def train_rows(count: int, seed: int) -> list[tuple[Message, ...]]:
    """Different tickets of the training part, each with its answer.

    Raises:
        InputError: There are not so many.
    """
    every = _combinations()[0]
    if count > len(every):
        raise InputError(f"there are only {len(every)} different rows of 'customer'", fix="ask for fewer")
    drawn = random.Random(f"customer/{seed}").sample(every, count)
    return [chat(("user", ticket(a, n, t)), ("assistant", sorted_ticket(n, t))) for a, n, t in drawn]


def evaluation(count: int, part: str) -> list[tuple[str, str]]:
    """Held-out tickets and answers; `develop` and `confirm` share none."""
    held = _combinations()[1]
    half = len(held) // 2
    pool = held[:half] if part == "develop" else held[half:]
    return [(ticket(a, n, t), sorted_ticket(n, t)) for a, n, t in pool[:count]]


def _combinations() -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """All tickets, three quarters to train on and one quarter held out."""
    every = [(a, n, t) for a in ADJECTIVES for n in ORDINARY for t in ACTIONS]
    random.Random("customer split").shuffle(every)
    cut = len(every) // _HELD_OUT
    return every[cut:], every[:cut]
