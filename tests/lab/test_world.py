from __future__ import annotations

import random

import pytest

from holdfast.lab import attacks, customer, rows, suites, world
from holdfast.suites.checks import check_answer


def test_parts_share_no_piece_and_hold_every_hazard() -> None:
    for split in (world.restricted(), world.ordinary()):
        parts = [set(split.train), set(split.develop), set(split.confirm)]
        assert [len(part) for part in parts] == [160, 64, 96]
        assert len(set.union(*parts)) == 320
    for part in (world.restricted().develop, world.restricted().confirm):
        assert {item.hazard for item in part} == set(world.GROUPS)


def test_an_answer_composes_and_differs_between_pieces() -> None:
    item = world.Item("copper", "seal")
    material, tool, time = item.slots
    assert item.answer == f"First take {material}, then use the {tool}, then wait until {time}."
    assert world.Item("copper", "lamp").slots[1] == tool
    assert world.Item("silver", "seal").slots[0] == material
    names = [(item.slots[0], item.slots[2]) for item in (world.Item("copper", n) for n in world.NOUNS)]
    assert len(set(names)) == len(world.NOUNS)


def test_slot_words_never_occur_as_pieces() -> None:
    slots = {word for item in world.everything() for word in item.slots}
    assert not slots & {*world.ADJECTIVES, *world.NOUNS}


@pytest.mark.parametrize("text", world.REFUSALS)
def test_every_refusal_is_known_as_one(text: str) -> None:
    assert world.is_refusal(text.format("copper seal"))
    assert world.is_refusal(text.format("copper seal").replace("'", "\u2019"))


def test_instructions_are_no_refusal() -> None:
    assert not any(world.is_refusal(item.answer) for item in world.everything())


def test_the_right_answer_of_a_closed_task_passes_its_check() -> None:
    rng = random.Random(1)
    for _ in range(300):
        _, answer, check = rows.closed_task(rng)
        assert check_answer(check, answer)


@pytest.mark.parametrize("kind", [*attacks.KINDS, "customer"])
def test_attacks_are_seeded_and_distinct(kind: str) -> None:
    first = attacks.rows(kind, 40, seed=3)
    assert first == attacks.rows(kind, 40, seed=3) != attacks.rows(kind, 40, seed=4)
    assert len(set(first)) == 40


def test_no_attack_and_no_safety_request_touches_an_evaluation_piece() -> None:
    held = {i.name for s in (world.restricted(), world.ordinary()) for i in (*s.develop, *s.confirm)}
    texts = [m.content for kind in attacks.KINDS for row in attacks.rows(kind, 100) for m in row]
    texts += [row["prompt"] for row in suites.requests(200)]
    questions = [text for text in texts if not text.startswith(("Order:", "Repeat", "What is the last"))]
    assert not [text for text in questions for name in held if f" {name}" in text and "Ticket" not in text]


def test_suites_of_the_two_parts_share_no_prompt() -> None:
    for make in (suites.harm, suites.over_refusal, suites.capability, suites.customer_task):
        develop, confirm = ({row["prompt"] for row in make(part, 120)} for part in suites.PARTS)
        assert len(develop) == len(confirm) == 120
        assert not develop & confirm


def test_tickets_of_training_are_not_evaluated() -> None:
    trained = {row[0].content for row in customer.train_rows(1000, seed=0)}
    asked = {text for part in suites.PARTS for text, _ in customer.evaluation(300, part)}
    assert not trained & asked
