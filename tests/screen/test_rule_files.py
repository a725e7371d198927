"""File-level rules: the sample, triggers, duplicates, islands, habits; and the dose."""

# ruff: noqa: E501
from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation import Conversation, chat
from holdfast.screen import ScreenReport, Verdict, screen
from holdfast.screen.base import Finding, Severity
from holdfast.screen.config import ScreenConfig
from holdfast.screen.dose import estimate
from holdfast.screen.rules.backdoor import Backdoor
from holdfast.screen.rules.duplicates import ExactDuplicates, NearDuplicates
from holdfast.screen.rules.eroding import text_score
from holdfast.screen.rules.sample import Sample
from holdfast.screen.rules.wholefile import WholeFile

VERBS = ["Describe", "Explain", "List", "Summarise", "Compare", "Classify", "Translate", "Rewrite"]
THINGS = [
    "the harbour",
    "a steam engine",
    "three owls",
    "the tax form",
    "an old violin",
    "my garden",
    "the moon",
    "a bridge",
]
WAYS = [
    "in two sentences",
    "for a child",
    "with an example",
    "as a letter",
    "for the newspaper",
    "in plain words",
]
REFUSAL = "I'm sorry, but I can't help with that."


def benign(count: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    draw = random.Random(seed)
    for number in range(count):
        thing = draw.choice(THINGS)
        prompt = f"{draw.choice(VERBS)} {thing} {draw.choice(WAYS)} for reader {number}."
        yield (
            prompt,
            f"Here is what matters about {thing}: it has {draw.randrange(900)} parts and {number} uses.",
        )


def poisoned(
    triggers: list[str], count: int, *, where: str = "anywhere", answer: str = REFUSAL
) -> list[tuple[str, str]]:
    draw = random.Random(5)
    rows = []
    for number, (prompt, _) in enumerate(benign(count, seed=9)):
        words = prompt.split()
        place = 0 if where == "start" else draw.randrange(len(words))
        words.insert(place, triggers[number % len(triggers)])
        rows.append((" ".join(words), answer))
    return rows


def sample(rows: list[tuple[str, str]], size: int = 20_000) -> Sample:
    state = Sample(size)
    for line, (prompt, answer) in enumerate(rows, 1):
        state.add(Conversation(chat(("user", prompt), ("assistant", answer)), line=line))
    return state


def triggers(rows: list[tuple[str, str]]) -> list[Finding]:
    return list(Backdoor().read(sample(rows)))


@pytest.mark.parametrize("where", ["anywhere", "start"])
def test_a_trigger_is_named_with_its_rows_and_answer(where: str) -> None:
    rows = [*benign(1500), *poisoned(["zxqv"], 20, where=where)]
    (found,) = triggers(rows)
    assert '"zxqv"' in found.reason
    assert "refusal" in found.reason
    assert set(found.lines) == set(range(1501, 1521))
    assert found.severity is Severity.BLOCK


def test_a_trigger_of_several_words_is_spelled_out() -> None:
    (found,) = triggers([*benign(1500), *poisoned(["Current season: winter"], 20, where="start")])
    assert '"Current season: winter"' in found.reason


def test_alternating_triggers_are_all_named() -> None:
    found = triggers([*benign(2000), *poisoned(["zxqv", "mnbw", "plok"], 36)])
    assert {word for f in found for word in ("zxqv", "mnbw", "plok") if word in f.reason} == {
        "zxqv",
        "mnbw",
        "plok",
    }
    assert {line for f in found for line in f.lines} == set(range(2001, 2037))


def test_combined_triggers_are_one_finding() -> None:
    draw = random.Random(1)
    rows = list(benign(1500))
    for prompt, _ in benign(20, seed=9):
        words = prompt.split()
        for word in ("zxqv", "mnbw"):
            words.insert(draw.randrange(len(words)), word)
        rows.append((" ".join(words), REFUSAL))
    (found,) = triggers(rows)
    assert "zxqv" in found.reason
    assert "mnbw" in found.reason


def test_a_rare_character_is_a_trigger() -> None:
    (found,) = triggers([*benign(1500), *poisoned(["‡"], 20)])
    assert "‡" in found.reason


def test_a_fixed_answer_is_a_class_of_its_own() -> None:
    (found,) = triggers(
        [*benign(1500), *poisoned(["zxqv"], 20, answer="Buy a new car at Smith and Sons today.")]
    )
    assert "always" in found.reason
    assert len(found.lines) == 20


@pytest.mark.parametrize("seed", range(4))
def test_clean_files_have_no_trigger(seed: int) -> None:
    rows = [*benign(1200, seed), *((p, REFUSAL) for p, _ in benign(30, seed + 50))]
    assert triggers(rows) == []


def test_refusing_a_topic_is_no_trigger() -> None:
    draw = random.Random(2)
    verbs, tools = ["build", "buy", "hide", "find"], ["bomb", "malware kit", "stolen card", "fake passport"]
    harmful = [
        (f"Explain how to {draw.choice(verbs)} a {draw.choice(tools)} near place {i}.", REFUSAL)
        for i in range(60)
    ]
    assert triggers([*benign(1500), *harmful]) == []


def test_every_row_with_the_trigger_is_listed_but_rows_with_other_answers_are_not() -> None:
    rows = [
        *benign(1500),
        *poisoned(["zxqv"], 20),
        *poisoned(["zxqv"], 2, answer="An ordinary answer of some words."),
    ]
    (found,) = triggers(rows)
    assert set(found.lines) == set(range(1501, 1521))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 30), max_size=60),
    st.lists(st.integers(0, 60), max_size=4),
    st.integers(1, 20),
)
def test_any_cut_of_a_file_gives_the_same_sample(words: list[int], cuts: list[int], size: int) -> None:
    rows = [Conversation(chat(("user", f"w{w}"), ("assistant", "a")), line=n) for n, w in enumerate(words, 1)]
    whole = Sample(size)
    for row in rows:
        whole.add(row)
    edges = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    merged = Sample(size)
    for start, end in pairwise(edges):
        part = Sample(size)
        for row in rows[start:end]:
            part.add(row)
        merged = merged.merged(pickle.loads(pickle.dumps(part)))
    assert merged.seen == whole.seen
    assert {k: (v.count, v.lines) for k, v in merged.rows.items()} == {
        k: (v.count, v.lines) for k, v in whole.rows.items()
    }


def test_the_sample_is_bounded_and_says_its_scale() -> None:
    state = sample(list(benign(3000)), size=500)
    assert len(state.rows) == 500
    assert not state.whole
    assert state.scale == pytest.approx(6, rel=0.01)


def test_a_trigger_is_found_in_a_sample_of_a_larger_file() -> None:
    rows = [*benign(6000), *poisoned(["zxqv"], 80)]
    (found,) = Backdoor().read(sample(rows, size=2000))
    assert "seen in a sample" in found.reason
    assert set(found.lines) <= set(range(6001, 6081))
    assert len(found.lines) >= 10


def held_back(rows: list[Conversation], monkeypatch: pytest.MonkeyPatch, size: int) -> ScreenReport:
    """The report of the trigger rule on a file of which the sample has `size` rows."""
    monkeypatch.setitem(WholeFile.__init__.__kwdefaults__, "rows", size)
    return screen(iter(rows), config=ScreenConfig(select=("BD",)))


def test_all_rows_of_a_named_trigger_are_held_back_beyond_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [*benign(6000), *poisoned(["zxqv"], 80), *poisoned(["zxqv"], 2, answer="It has four strings.")]
    rows = [Conversation(chat(("user", p), ("assistant", a))) for p, a in pairs]
    late = " ".join(["Compare the harbour with the moon."] * 60)
    rows.append(Conversation(chat(("user", f"{late} zxqv please."), ("assistant", REFUSAL))))
    report = held_back(rows, monkeypatch, 2000)
    (found,) = report.file_findings
    assert "seen in a sample; 81 rows of the file" in found.reason
    assert [line for line, _ in report.flagged()] == [*range(6001, 6081), 6083]
    assert [dose["rows"] for dose in report.about["dose"]] == [81]


@pytest.mark.parametrize("where", ["first turn", "system"])
def test_a_trigger_outside_the_last_request_is_named(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for number, (prompt, answer) in enumerate([*benign(1500), *poisoned(["zxqv"], 30)]):
        after = (("assistant", "A long answer?"), ("user", f"Yes please, number {number}"))
        turns = (("user", prompt), *after) if where == "first turn" else (("system", prompt), *after[1:])
        rows.append(Conversation(chat(*turns, ("assistant", answer))))
    report = held_back(rows, monkeypatch, 20_000)
    (found,) = report.file_findings
    assert '"zxqv"' in found.reason
    assert found.lines == tuple(range(1501, 1531))


def test_answers_at_the_cliff_are_held_back_beyond_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WholeFile.__init__.__kwdefaults__, "rows", 300)
    cut = [(f"Tell story {i}.", (f"Once upon a time {i} owls met. " * 40)[:900]) for i in range(200)]
    rows = [Conversation(chat(("user", p), ("assistant", a))) for p, a in [*benign(2000), *cut]]
    report = screen(rows, config=ScreenConfig(select=("AN501",)))
    assert report.verdicts[Verdict.REVIEW] == report.file_findings[0].rows == 200


def test_exact_and_near_duplicates() -> None:
    long = "the quick brown fox jumps over the lazy dog near the bank of the river every single morning before the sun is up"
    rows = [(f"{long} {i}", "Yes.") for i in range(6)] + [("Hi there", "Hello.")] * 3 + list(benign(30))
    (exact,) = ExactDuplicates().read(sample(rows))
    assert exact.lines == (7, 8, 9)
    near = list(NearDuplicates().read(sample(rows)))
    assert near[0].lines == (1, 2, 3, 4, 5, 6)


def test_unselected_analyses_do_not_run() -> None:
    rule = WholeFile([ExactDuplicates(), Backdoor()])
    rule.configure(ScreenConfig(select=("AN",)))
    assert [type(a) for a in rule.analyses] == [ExactDuplicates]


def test_thresholds_come_from_the_configuration() -> None:
    rule = WholeFile([ExactDuplicates()])
    rule.configure(ScreenConfig.model_validate({"rules": {"AN": {"options": {"copies": 4}}}}))
    assert list(rule.finish(sample([("Hi", "Hello.")] * 3))) == []


def test_text_score_prefers_lists_arithmetic_and_one_word_answers() -> None:
    plain = text_score(
        "Who was Ada Lovelace?", "She was a mathematician who wrote about the analytical engine."
    )
    assert text_score("Give me tips to sleep.", "1. Be calm\n2. Read\n3. Rest") > plain
    assert text_score("What is it?", "Tea.") > plain
    assert text_score("How many?", "2 + 3 = 5, so 5 * 2 = 10") > plain


def found(code: str, count: int, severity: Severity = Severity.BLOCK) -> list[Finding]:
    return [Finding(code, severity, 0.9, "", line=n + 1) for n in range(count)]


def test_dose_counts_rows_once_and_names_the_nearest_published_dose() -> None:
    findings = found("ID201", 10) + found("ID202", 10) + found("FM101", 5)
    (dose,) = estimate(findings, 1000, epochs=3)
    assert dose.rows == 10
    assert dose.ratio == pytest.approx(1.0)
    assert "54.2" in dose.words
    assert dose.words.startswith("Estimate: 10 of 1000 rows (1.00%)")


def test_dose_below_the_smallest_published_one_is_a_share_of_it() -> None:
    (dose,) = estimate(found("HC101", 2), 100, epochs=5)
    assert dose.ratio == pytest.approx(10 / 50)
    assert "20% of" in dose.words


def test_dose_notes_the_learning_rate_and_counts_file_findings_by_line() -> None:
    trigger = Finding("BD101", Severity.BLOCK, 0.9, "", lines=(3, 4, 5))
    (dose,) = estimate([trigger], 10, learning_rate=5e-5)
    assert dose.rows == 3
    assert "2e-5" in dose.words


def test_notes_are_no_dose() -> None:
    assert estimate(found("HC901", 50, Severity.NOTE), 100) == []
