"""Safety answers can take the form of the task's answers."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from holdfast.conversation import Conversation, chat
from holdfast.mix.answer_style import AnswerStyle, learn_style
from holdfast.mix.task_format import learn


def test_json_answers_keep_their_keys_and_the_longest_text_holds_the_answer():
    answers = [json.dumps({"label": "spam", "why": f"it is about {x}"}, indent=2) for x in "abcd"] + ["other"]
    style = learn_style(answers)
    assert style == AnswerStyle(keys=("label", "why"), text_key="why", indent=2)
    assert json.loads(style.apply('I can\'t "help".')) == {"label": None, "why": 'I can\'t "help".'}
    assert style.apply("x").splitlines()[1] == '  "label": null,'


def test_json_without_text_and_mixed_forms_are_free_text():
    assert learn_style(['{"n": 1}'] * 5) == AnswerStyle()
    assert learn_style(['{"a": "b"}', "plain words", "other things"]) == AnswerStyle()
    assert learn_style([]) == learn_style(["{broken"] * 3) == AnswerStyle()


def test_words_that_most_answers_begin_and_end_with():
    style = learn_style([f"Answer: {x} is it. Anything else?" for x in ("a lamp", "a kite", "the red chair")])
    assert style.apply("No.") == "Answer: No. is it. Anything else?"


@given(st.lists(st.text(max_size=30), max_size=8), st.text(max_size=30))
def test_the_safe_answer_is_always_inside(answers, safe):
    style = learn_style(answers)
    made = style.apply(safe)
    assert safe in (json.loads(made)[style.text_key] if style.keys else made)


def test_the_form_belongs_to_the_dialect():
    rows = [Conversation(chat(("user", "q"), ("assistant", json.dumps({"a": x})))) for x in "xyz"]
    assert learn(rows).answers.text_key == "a"
