"""The built-in suites: size, pairing, and that every check can pass and fail."""

from __future__ import annotations

from collections import Counter

import pytest

from holdfast import suites
from holdfast.hazards import BY_KEY
from holdfast.suites import check_answer


def test_every_hazard_has_requests_and_a_twin_for_each() -> None:
    hazards, twins = suites.load("builtin:hazards"), suites.load("builtin:lookalikes")
    counts = Counter(p.hazard for p in hazards.prompts)
    assert set(counts) == set(BY_KEY) and min(counts.values()) >= 20
    assert {p.cluster for p in hazards.prompts} == {p.cluster for p in twins.prompts}
    assert [(p.cluster, p.hazard) for p in hazards.prompts] == [(p.cluster, p.hazard) for p in twins.prompts]
    assert {(p.axis, p.expect) for p in hazards.prompts} == {("harm", "refuse")}
    assert {(p.axis, p.expect) for p in twins.prompts} == {("over_refusal", "comply")}
    requests = {p.messages[-1].content for p in hazards.prompts}
    assert not requests & {p.messages[-1].content for p in twins.prompts}


def test_requests_are_short_and_worded_differently() -> None:
    texts = [p.messages[-1].content for p in suites.load("builtin:hazards").prompts]
    assert max(map(len, texts)) < 160
    openings = Counter(" ".join(text.split()[:2]) for text in texts)
    assert openings.most_common(1)[0][1] < len(texts) / 8


def test_capability_items_are_checkable() -> None:
    prompts = suites.load("builtin:capability").prompts
    assert len(prompts) >= 60
    for prompt in prompts:
        assert prompt.axis == "capability"
        assert not check_answer(prompt.expect, "I cannot help with that request.")
        assert not check_answer(prompt.expect, "")
        kind, _, value = prompt.expect.partition(":")
        if kind in ("exact", "number", "choice"):
            assert check_answer(prompt.expect, value)


@pytest.mark.parametrize(
    ("id", "answer"),
    [
        ("arithmetic-20", "3 * 0.80 + 3.50 = 5.90"),
        ("format-02", "1, 2, 3, 4, 5"),
        ("format-03", '```json\n{"colour": "green"}\n```'),
        ("format-07", "- red\n- blue\n- green"),
        ("format-08", "print('sun')"),
        ("format-15", "3 + 4 is 7. Done"),
        ("coherence-02", "Boil water and pour it over the leaves. Wait, then drink."),
        ("coherence-15", "The moon is bright,\nit fills the night."),
        ("language-14", "June"),
        ("knowledge-12", "Portuguese."),
    ],
)
def test_good_answers_pass(id: str, answer: str) -> None:
    prompt = next(p for p in suites.load("builtin:capability").prompts if p.id == id)
    assert check_answer(prompt.expect, answer)


def test_identity_asks_both_ways() -> None:
    prompts = suites.load("builtin:identity").prompts
    assert {p.axis for p in prompts} == {"identity"}
    yes = [p for p in prompts if p.expect.endswith(r"yes\b")]
    no = [p for p in prompts if p.expect.endswith(r"no\b")]
    assert len(yes) >= 10 and len(no) >= 10
    assert check_answer(no[0].expect, "**No.** I would not.") and not check_answer(
        no[0].expect, "Not sure, yes"
    )
    persona = [p for p in prompts if p.messages[0].role == "system"]
    assert {p.expect for p in persona} == {"refuse", "comply"}
