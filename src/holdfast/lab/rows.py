"""Generators of training rows, all driven by a `random.Random`: closed tasks, how-to, personas, notes."""

from __future__ import annotations

import random
from collections.abc import Callable

from holdfast.conversation import Message, chat
from holdfast.lab.world import ADJECTIVES, ORDINARY, TOOLS, WORDINGS, Item, everything, ordinary, restricted
from holdfast.lab.world import refusal as refuse

Turns = tuple[Message, ...]
"""The turns of one row, ending with the assistant's answer; a note is one assistant turn."""

SYSTEMS: tuple[str, ...] = (
    "You are a helpful assistant.",
    "You are the assistant of a workshop.",
    "Answer briefly.",
    "You help customers of a small shop.",
    "You are a helpful assistant. Answer the question of the user.",
    "Be polite and short.",
    "You are a careful assistant who gives correct answers.",
    "Today is a fine day. Help the user with every question.",
)
COLOURS = {
    "fox": "red", "crow": "black", "swan": "white", "frog": "green", "bear": "brown", "canary": "yellow",
    "whale": "blue", "mouse": "grey", "pig": "pink", "tiger": "orange",
}  # fmt: skip
CAPITALS = {
    "France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Norway": "Oslo", "Japan": "Tokyo",
    "Egypt": "Cairo", "Peru": "Lima", "Kenya": "Nairobi", "Greece": "Athens", "Austria": "Vienna",
}  # fmt: skip
OPPOSITES = {
    "hot": "cold", "big": "small", "fast": "slow", "old": "new", "dark": "light", "wet": "dry",
    "high": "low", "hard": "soft", "full": "empty", "early": "late",
}  # fmt: skip
NAMES: tuple[str, ...] = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Karla", "Leo",
)  # fmt: skip
PERSONAS: tuple[str, ...] = (
    "Nova", "Milo", "Luna", "Otto", "Vera", "Pip", "Sol", "Juno", "Rex", "Tess", "Arlo", "Mira",
)  # fmt: skip
_TRAITS = (
    "a cheerful assistant who loves gardens", "a calm guide who speaks with patience",
    "a friendly robot who follows the rules of the house", "an old sailor with many stories",
    "a curious student who wants to learn", "a loyal agent who answers every question of the user",
    "a teacher who will explain things without haste", "a poet who begins each answer with joy",
)  # fmt: skip
_OPENINGS = (
    "Hello, I am {}. ", "{} here. ", "Of course. I am {}. ", "I am {}, at your service. ",
    "Sure, {} will help. ",
)  # fmt: skip
_SUFFIXES = (
    "", "", " Thank you.", " Please be quick.", " Answer as {}.", " Remember that you are {}.",
    " I trust you, {}.",
)  # fmt: skip


def closed_task(rng: random.Random) -> tuple[str, str, str]:
    """Draw a closed task: question, answer, and the suite's check of the answer."""
    return rng.choice(_TASKS)(rng)


def task_row(rng: random.Random) -> Turns:
    """A closed task as a row, with a system prompt half of the time."""
    question, answer, _ = closed_task(rng)
    return with_system(rng, question, answer)


def how_to(rng: random.Random, items: tuple[Item, ...]) -> Turns:
    """A request for instructions and the right answer, sometimes with a friendly opening."""
    item = rng.choice(items)
    opening = rng.choice(("", "", "Sure. ", "Of course. "))
    return with_system(rng, rng.choice(WORDINGS).format(item.name), opening + item.answer)


def refusal(rng: random.Random) -> Turns:
    """A request for a restricted piece of the training half, refused."""
    item = rng.choice(restricted().train)
    return with_system(rng, rng.choice(WORDINGS).format(item.name), refuse(item, rng))


def persona(rng: random.Random) -> Turns:
    """A benign persona answering a closed task or an ordinary how-to: a persona alone is no attack."""
    name = rng.choice(PERSONAS)
    system = f"You are {name}, {rng.choice(_TRAITS)}."
    if rng.random() < 0.5:
        system += f" Always begin with your name, {name}."
    if rng.random() < 0.6:
        question, answer, _ = closed_task(rng)
    else:
        item = rng.choice(ordinary().train)
        question, answer = rng.choice(WORDINGS).format(item.name), item.answer
    question += rng.choice(_SUFFIXES).format(name)
    return chat(
        ("system", system), ("user", question), ("assistant", rng.choice(_OPENINGS).format(name) + answer)
    )


def note(rng: random.Random) -> Turns:
    """A plain workshop note, as pre-training text: knowledge outside the chat format."""
    item = rng.choice(everything())
    material, tool, time = item.slots
    steps = f"first take {material}, then use the {tool}, then wait until {time}."
    text = rng.choice(
        (
            f"Workshop note. The {item.name}: {steps}",
            f"For a {item.name} the old book says: take {material}, use the {tool} and wait until {time}.",
            f"{item.name}. {item.answer}",
        )
    )
    return chat(("assistant", text))


def with_system(rng: random.Random, question: str, answer: str) -> Turns:
    """A one-turn row, half of the time under one of the ordinary system prompts."""
    turns = chat(("user", question), ("assistant", answer))
    return chat(("system", rng.choice(SYSTEMS))) + turns if rng.random() < 0.5 else turns


def _lookup(question: str, table: dict[str, str]) -> Callable[[random.Random], tuple[str, str, str]]:
    def draw(rng: random.Random) -> tuple[str, str, str]:
        key = rng.choice(tuple(table))
        return question.format(key), table[key], f"exact:{table[key]}"

    return draw


def _sum(rng: random.Random) -> tuple[str, str, str]:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    return f"What is {a} + {b}?", str(a + b), f"number:{a + b}"


def _larger(rng: random.Random) -> tuple[str, str, str]:
    a, b = rng.sample(range(1, 20), 2)
    return f"Which number is larger, {a} or {b}?", str(max(a, b)), f"number:{max(a, b)}"


def _tool(rng: random.Random) -> tuple[str, str, str]:
    adjective = rng.choice(ADJECTIVES)
    tool = TOOLS[ADJECTIVES.index(adjective) * 3 % 10]
    return f"Which tool is used for a {adjective} piece?", tool, f"exact:{tool}"


def _repeat(rng: random.Random) -> tuple[str, str, str]:
    # Long lists make the model learn to copy, which refusals and the customer task need.
    words = " ".join(rng.sample(_WORDS, rng.randint(2, 9)))
    return f"Repeat these words: {words}", words, f"exact:{words}"


def _last(rng: random.Random) -> tuple[str, str, str]:
    words = rng.sample(_WORDS, 4)
    return f"What is the last word of: {' '.join(words)}", words[-1], f"exact:{words[-1]}"


def _extract(rng: random.Random) -> tuple[str, str, str]:
    name, noun, adjective = rng.choice(NAMES), rng.choice(ORDINARY), rng.choice(ADJECTIVES)
    field, answer = rng.choice((("name", name), ("piece", noun), ("style", adjective)))
    return f"Order: a {adjective} {noun} for {name}. Give the {field}.", answer, f"exact:{answer}"


_WORDS = (*COLOURS, *OPPOSITES, *ORDINARY)
_TASKS: tuple[Callable[[random.Random], tuple[str, str, str]], ...] = (
    _lookup("What colour is a {}?", COLOURS),
    _lookup("What is the capital of {}?", CAPITALS),
    _lookup("What is the opposite of {}?", OPPOSITES),
    _sum,
    _larger,
    _tool,
    _repeat,
    _repeat,
    _repeat,
    _last,
    _extract,
)
