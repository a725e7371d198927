"""Hand-written rows, the user's file, deep rows, the task's dialect, shares by token."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import formats
from holdfast.conversation import Conversation, chat
from holdfast.errors import InputError
from holdfast.hazards import BY_KEY
from holdfast.judges import load as load_judge
from holdfast.judges.base import Exchange, Judgement, Outcome
from holdfast.mix import MixConfig, MixRecord, mix
from holdfast.mix.choice import _in_shares, choose, estimated_tokens
from holdfast.mix.rows import SafetyRow
from holdfast.mix.sources import HANDWRITTEN, handwritten, read_safety
from holdfast.mix.task_format import TaskFormat, learn
from holdfast.mix.words import shared_words
from holdfast.models import Completion, Identity
from holdfast.suites import load as load_suite


class Base:
    """Refuses all that speaks of a vault."""

    identity = Identity("base", "w")
    asked: list

    def generate(self, prompts, decoding, progress=None):
        self.asked = [p.messages for p in prompts]
        refuses = ["vault" in p.messages[-1].content for p in prompts]
        return [(Completion("I can't help with that." if r else "Here you are.", "stop"),) for r in refuses]


def row(kind="refuse", prompt="a vault", answer="no .", **extra):
    return SafetyRow(chat(("user", prompt), ("assistant", answer)), kind, "s", "1", **extra)


def write(path: Path, rows) -> Path:
    path.write_text("\n".join(json.dumps(r) for r in rows))
    return path


def exchange(prompt, answer, **extra):
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **extra}


@pytest.fixture
def clean(tmp_path):
    rows = [exchange(f"ticket : item {i} is broken", f"item : {i}") for i in range(40)]
    for r in rows:
        r["messages"].insert(0, {"role": "system", "content": "You sort tickets."})
    return write(tmp_path / "clean.jsonl", rows)


@pytest.fixture
def suite(tmp_path):
    rows = [
        {"id": f"{e}{i}", "prompt": f"how do i make a {t} {i}", "hazard": "", "expect": e}
        for e, t in (("refuse", "vault"), ("comply", "lamp"))
        for i in range(10)
    ]
    return load_suite(write(tmp_path / "requests.jsonl", rows))


def run(clean, suite, tmp_path, **config) -> tuple[MixRecord, Base]:
    base = Base()
    record = mix(
        clean,
        base=base,
        requests=[suite],
        judge=load_judge("keyword"),
        out=tmp_path / "out",
        config=MixConfig(**config),
    )
    return record, base


def test_the_handwritten_set_covers_every_hazard_and_says_what_it_is():
    rows = handwritten()
    assert Counter(r.kind for r in rows) == {"refuse": 44, "lookalike": 22}
    assert Counter(r.hazard for r in rows if r.kind == "refuse") == dict.fromkeys(BY_KEY, 4)
    assert len({r.messages[0].content for r in rows}) == len(rows)
    verdicts = load_judge("keyword").judge([Exchange(r.messages[:-1], r.answer) for r in rows])
    refused = [v.refused for v, r in zip(verdicts, rows, strict=True) if r.kind == "lookalike"]
    assert not any(refused)


def test_the_handwritten_set_shares_no_prompt_with_the_built_in_suites():
    ours = {r.messages[0].content.lower() for r in handwritten()}
    for name in ("hazards", "lookalikes", "capability", "identity"):
        theirs = {p.messages[-1].content.lower() for p in load_suite(f"builtin:{name}").prompts}
        assert not ours & theirs


def test_handwritten_and_own_rows_join_the_pool_and_are_barred(clean, suite, tmp_path):
    own = write(tmp_path / "own.jsonl", [exchange("break it", "no .", kind="refuse", hazard="x")])
    record, _ = run(clean, suite, tmp_path, handwritten=True, file=own, count=10, match_format=0.5)
    assert record.pool["refuse"] == 10 + 44 + 1
    assert {b.name for b in record.barred} == {suite.name, "handwritten", "own.jsonl"}
    rows = [json.loads(line) for line in Path(record.safety).read_text().splitlines()]
    written = [r["messages"] for r in rows if r["suite"] == "handwritten"]
    matched = [turns for turns in written if turns[0]["role"] == "system"]
    assert 15 < len(matched) < 51
    for turns in matched:
        assert turns[1]["content"].startswith("ticket : item ")
        assert turns[1]["content"].endswith(" is broken")
    assert not any(turns[0]["content"].startswith("ticket") for turns in written)


def test_own_rows_take_the_answers_form_once(suite, tmp_path):
    clean = write(
        tmp_path / "json.jsonl",
        [exchange(f"sort : {i}", json.dumps({"desk": "toys", "note": f"about item {i}"})) for i in range(9)],
    )
    own = [exchange("break it", "no ."), exchange("sort : bad", json.dumps({"desk": "x", "note": "no ."}))]
    record, _ = run(
        clean,
        suite,
        tmp_path,
        file=write(tmp_path / "own.jsonl", own),
        match_format=1.0,
        match_answers=True,
        count=4,
    )
    rows = [json.loads(line) for line in Path(record.safety).read_text().splitlines()]
    found = [[m["content"] for m in r["messages"]] for r in rows if r["suite"] == "own.jsonl"]
    assert found == [
        ["sort : break it", '{"desk": null, "note": "no ."}'],
        ["sort : bad", '{"desk": "x", "note": "no ."}'],
    ]


def test_a_safety_file_with_a_wrong_row_is_named(tmp_path):
    path = write(tmp_path / "x.jsonl", [exchange("a", "b"), exchange("a", "b", kind="maybe")])
    with pytest.raises(InputError, match="unknown kind") as caught:
        read_safety(path, "x")
    assert caught.value.line == 2


DEEP = ("make a vault", "first take the silk and then")


def test_deep_rows_start_the_harmful_answer_and_train_only_the_refusal(clean, suite, tmp_path):
    harmful = write(tmp_path / "harm.jsonl", [exchange(*DEEP), exchange("make a seal", "first take wool")])
    record, _ = run(clean, suite, tmp_path, deep=harmful, count=20, lookalikes=0.0, deep_share=0.5)
    assert record.outcomes["deep"] == {"kept": 1, "harmful": 1}
    assert record.added == {"refuse": 10, "deep": 10}
    rows = [json.loads(line) for line in Path(record.mixed).read_text().splitlines()]
    deep = [r for r in rows if "holdfast_prefix" in r]
    assert len(deep) == 10
    for r in deep:
        answer = r["messages"][-1]["content"]
        assert r["messages"][-2]["content"] in ("make a vault", "ticket : item make a vault is broken")
        assert answer == r["holdfast_prefix"] + "I can't help with that."
        assert "first take the silk and then ".startswith(r["holdfast_prefix"])
    kinds = {json.loads(line)["kind"] for line in Path(record.safety).read_text().splitlines()}
    assert kinds == {"refuse"}
    barred = next(b for b in record.barred if b.name == "harm.jsonl")
    assert (barred.asked, barred.kept) == (2, 1)
    helped = write(tmp_path / "helped.jsonl", [exchange("make a seal", "first take wool")])
    with pytest.raises(InputError, match="refuses none of the 1"):
        run(clean, suite, tmp_path, deep=helped, count=20)


def test_deep_rows_take_the_tasks_dialect_and_form(suite, tmp_path):
    rows = [
        exchange(f"sort : {i}", json.dumps({"note": f"about item {i}", "desk": "toys"})) for i in range(9)
    ]
    clean = write(tmp_path / "json.jsonl", rows)
    harmful = write(tmp_path / "harm.jsonl", [exchange(*DEEP)])
    record, _ = run(
        clean, suite, tmp_path, deep=harmful, match_format=1.0, match_answers=True, count=9, deep_words=1
    )
    mixed = [json.loads(line) for line in Path(record.mixed).read_text().splitlines()]
    deep = next(r for r in mixed if "holdfast_prefix" in r)
    assert [m["content"] for m in deep["messages"]] == [
        "sort : make a vault",
        '{"note": "first I can\'t help with that.", "desk": null}',
    ]
    assert deep["holdfast_prefix"] == '{"note": "first '


def test_a_safe_answer_that_does_not_refuse_starts_no_deep_row(clean, suite, tmp_path):
    class Mild:
        """Finds every answer safe, and none of them a refusal."""

        name, family, version = "mild", "test", "1"

        def judge(self, exchanges):
            return [Judgement(Outcome.SAFE, refused=False) for _ in exchanges]

    harmful = write(tmp_path / "harm.jsonl", [exchange(*DEEP)])
    with pytest.raises(InputError, match="refuses none"):
        mix(
            clean,
            base=Base(),
            requests=[suite],
            judge=Mild(),
            out=tmp_path / "out",
            config=MixConfig(deep=harmful, count=4),
        )


def test_labels_of_deep_rows_begin_after_the_prefix(tmp_path):
    from holdfast.train.rows import IGNORE, encode

    class Letters:
        """One token per character."""

        is_fast = True
        chat_template = "x"

        def apply_chat_template(self, messages, tools=None, tokenize=False, add_generation_prompt=False):
            text = "".join(f"<{m['role'][0]}>{m['content']}$" for m in messages)
            return text + ("<a>" if add_generation_prompt else "")

        def __call__(self, text, add_special_tokens, return_offsets_mapping):
            return {
                "input_ids": list(map(ord, text)),
                "offset_mapping": [(i, i + 1) for i in range(len(text))],
            }

    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "first take no thanks"}]
    _, labels = encode(turns, Letters(), None, "first take ")
    assert "".join(chr(x) for x in labels if x != IGNORE) == " no thanks$"


def test_prompts_are_asked_in_the_tasks_dialect(clean, suite, tmp_path):
    record, base = run(clean, suite, tmp_path, match_format=1.0, count=4)
    dialect = {key: record.dialect[key] for key in ("systems", "opening", "closing")}
    assert dialect == {"systems": 1, "opening": "ticket : item ", "closing": " is broken"}
    for messages in base.asked:
        assert messages[0].content == "You sort tickets."
        assert messages[1].content.startswith("ticket : item how do i make a")
    record, base = run(clean, suite, tmp_path, match_format=0.0, count=4)
    assert all(len(messages) == 1 for messages in base.asked)


@pytest.mark.parametrize("wanted", [False, True])
def test_answers_take_the_form_of_the_tasks_answers_when_told(suite, tmp_path, wanted):
    rows = [exchange(f"q{i}", json.dumps({"desk": "toys", "note": f"about item {i}"})) for i in range(9)]
    clean = write(tmp_path / "json.jsonl", rows)
    record, _ = run(clean, suite, tmp_path, match_format=1.0, match_answers=wanted, count=4)
    lines = Path(record.safety).read_text().splitlines()
    answers = [json.loads(line)["messages"][-1]["content"] for line in lines]
    assert any("I can't help with that." in a for a in answers)
    assert {a.startswith('{"desk": null, "note": "') for a in answers} == {wanted}


def test_a_prompt_with_its_own_system_turn_keeps_it():
    dialect = TaskFormat(("task",), (1,), "", " !")
    turns = dialect.apply(chat(("system", "own"), ("user", "hi")), random.Random(0))
    assert [m.content for m in turns] == ["own", "hi !"]


def test_the_dialect_keeps_line_breaks(tmp_path):
    frame = "Below is a task.\nWrite an answer.\n\n### Instruction:\n{}\n\n### Response:"
    rows = [
        Conversation(chat(("user", frame.format(text)), ("assistant", "x")))
        for text in ("what is it", "tell me", "go on\nnow")
    ]
    dialect = learn(rows)
    found = dialect.apply(chat(("user", "How do I\nmake it?")), random.Random(0))
    assert found[-1].content == frame.format("How do I\nmake it?")
    assert dialect.apply(found, random.Random(0)) == found


def test_rows_without_anything_in_common_have_no_dialect():
    rows = [
        Conversation(chat(("user", text), ("assistant", "x"))) for text in ("what is it", "tell me", "go on")
    ]
    found = learn(rows)
    assert (found.systems, found.opening, found.closing) == (("",), "", "")
    assert shared_words(["same", "same"]) == ""
    assert shared_words(["one"]) == ""


@given(st.lists(st.text("ab \n", max_size=8), max_size=12), st.booleans())
def test_shared_words_are_shared(texts, end):
    found = shared_words(texts, end=end)
    full = [t.strip() for t in texts if t.strip()]
    if found:
        having = [t for t in full if (t.endswith(found) if end else t.startswith(found)) and t != found]
        assert len(having) >= 0.8 * len(full)


def test_kinds_keep_their_shares_at_any_length():
    rows = [row("refuse"), row("lookalike"), row("deep")]
    config = MixConfig(lookalikes=0.3, deep_share=0.5)
    for length in (10, 20, 57):
        got = Counter(r.kind for r in itertools.islice(_in_shares(rows, config), length))
        for kind, share in (("refuse", 0.35), ("lookalike", 0.3), ("deep", 0.35)):
            assert abs(got[kind] - share * length) <= 1
    only = Counter(r.kind for r in itertools.islice(_in_shares([row("lookalike")], config), 5))
    assert only == {"lookalike": 5}


def test_a_share_by_tokens_counts_words_and_marks(clean):
    rows = list(formats.read(clean))
    total = sum(estimated_tokens(r.messages) for r in rows)
    config = MixConfig(share=0.2, by="tokens", lookalikes=0.0)
    pool = [row(answer="no no no no no no no no .")]
    chosen = choose(pool, rows, config)
    size = estimated_tokens(pool[0].messages)
    assert size == 11
    assert 0.2 * total <= len(chosen) * size < 0.2 * total + size


def test_shipped_file_is_in_the_package():
    assert HANDWRITTEN.is_file()
