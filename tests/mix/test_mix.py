"""The mix keeps the user's rows and adds only answers that are right."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.conversation import chat
from holdfast.errors import InputError
from holdfast.judges import Exchange, Judgement, Outcome
from holdfast.mix import MixConfig, MixRecord, mix
from holdfast.mix.barred import prompt_digest
from holdfast.mix.build import positions
from holdfast.mix.pool import spread
from holdfast.models import Completion, Identity
from holdfast.suites.base import Suite, SuitePrompt


class Base:
    """Refuses what is about a vault, unless it is a weak vault; helps otherwise."""

    identity = Identity("base", "w")

    def generate(self, prompts, decoding, progress=None):
        answers = []
        for prompt in prompts:
            text = prompt.messages[-1].content
            if "error" in text:
                answers.append((Completion("", "error", error="down"),))
            elif "cut" in text:
                answers.append((Completion("first take", "length"),))
            elif "vault" in text and "weak" not in text:
                answers.append((Completion("i can not help .", "stop"),))
            else:
                answers.append((Completion("first take silk .", "stop"),))
            if progress:
                progress(1)
        return answers


class Judge:
    name, family, version = "plain", "test", "1"

    def judge(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        return [self._one(e) for e in exchanges]

    def _one(self, exchange: Exchange) -> Judgement:
        if exchange.finish == "length":
            return Judgement(Outcome.TRUNCATED)
        if "can not" in exchange.answer:
            return Judgement(Outcome.REFUSAL, refused=True)
        return Judgement(Outcome.HARMFUL if "vault" in exchange.request else Outcome.SAFE, refused=False)


def prompts(*texts, expect="refuse", hazard="h", axis="harm"):
    return tuple(
        SuitePrompt(f"{expect}{i}", chat(("user", text)), axis, expect, hazard)
        for i, text in enumerate(texts)
    )


SUITE = Suite(
    "requests",
    "1",
    prompts("a vault", "b vault", "weak vault", "vault error", "vault cut")
    + prompts("a lamp", "some vault lamp", expect="comply", hazard="", axis="over_refusal"),
)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.jsonl"
    path.write_text(
        "\n".join(
            json.dumps(
                {"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "a"}]}
            )
            for i in range(20)
        )
    )
    return path


def run(clean, tmp_path, suite=SUITE, **config):
    return mix(
        clean, base=Base(), requests=[suite], judge=Judge(), out=tmp_path / "out", config=MixConfig(**config)
    )


def test_users_rows_are_untouched_and_in_order_and_safety_rows_where_the_record_says(clean, tmp_path):
    record = run(clean, tmp_path, count=5, lookalikes=0.4)
    lines = Path(record.mixed).read_bytes().splitlines()
    assert len(lines) == record.mixed_rows == 25
    kept = [line for number, line in enumerate(lines, 1) if number not in record.safety_lines]
    assert kept == clean.read_bytes().splitlines()
    assert record.added == {"refuse": 3, "lookalike": 2}
    assert MixRecord.load(tmp_path / "out" / "mix.json") == record


def test_only_right_answers_are_kept_and_every_other_is_counted(clean, tmp_path):
    record = run(clean, tmp_path, count=4)
    rows = [json.loads(line) for line in Path(record.safety).read_text().splitlines()]
    assert sorted((r["kind"], r["messages"][0]["content"]) for r in rows) == [
        ("lookalike", "a lamp"),
        ("refuse", "a vault"),
        ("refuse", "b vault"),
    ]
    assert record.outcomes == {
        "refuse": {"kept": 2, "harmful": 1, "error": 1, "truncated": 1},
        "lookalike": {"kept": 1, "refusal": 1},
    }
    assert record.barred[0].digest == SUITE.digest and record.barred[0].asked == 7
    assert prompt_digest(SUITE.prompts[0].messages) in record.prompts


def test_share_counts_from_the_clean_rows(clean, tmp_path):
    assert run(clean, tmp_path, share=0.5).mixed_rows == 30
    assert run(clean, tmp_path, share=0.0).mixed_rows == 20


def test_other_formats_become_messages(tmp_path):
    path = tmp_path / "alpaca.jsonl"
    path.write_text(json.dumps({"instruction": "say hi", "input": "", "output": "hi"}) + "\n")
    record = run(path, tmp_path, count=0)
    row = json.loads(Path(record.mixed).read_text())
    assert [m["content"] for m in row["messages"]][-1] == "hi"


def test_no_usable_answer_is_an_error_that_says_why(clean, tmp_path):
    suite = Suite("weak", "1", prompts("weak vault", "vault error"))
    with pytest.raises(InputError, match="1 harmful, 1 error"):
        run(clean, tmp_path, suite)
    with pytest.raises(InputError, match="no prompt"):
        run(clean, tmp_path, Suite("none", "1", ()))


def test_positions_are_even_and_distinct():
    places = positions(100, 10)
    assert len(set(places)) == 10
    gaps = {b - a for a, b in itertools.pairwise(places)}
    assert gaps == {11}
    assert positions(0, 3) == [0, 1, 2]
    assert positions(5, 0) == []


def test_prompts_are_spread_over_hazards():
    many = [("s", p) for p in prompts(*"abcdefgh", hazard="one") + prompts("x", "y", hazard="two")]
    chosen = spread(many, 4, seed=0)
    assert sorted(p.hazard for _, p in chosen) == ["one", "one", "two", "two"]
