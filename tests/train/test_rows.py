"""Labels cover the assistant's words, and nothing else, whatever the template."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from holdfast.conversation import Conversation, chat
from holdfast.errors import InputError
from holdfast.train.rows import IGNORE, encode, read_rows, tokenise


@pytest.fixture(scope="module")
def tokenizer(make_model):
    return AutoTokenizer.from_pretrained(make_model())


def turns(*pairs):
    return [{"role": role, "content": text} for role, text in pairs]


def conversation(line, messages):
    return Conversation(chat(*((m["role"], m["content"]) for m in messages)), "x.jsonl", line)


def trained_text(tokenizer, messages) -> str:
    _, labels = encode(messages, tokenizer)
    return tokenizer.decode([label for label in labels if label != IGNORE])


def test_only_the_answer_and_its_end_are_trained(tokenizer):
    messages = turns(("system", "be kind"), ("user", "what is silk ?"), ("assistant", "silk is green ."))
    assert trained_text(tokenizer, messages) == "silk is green .<|end|>"


def test_every_answer_of_a_dialog_counts_unless_its_weight_is_zero(tokenizer):
    messages = turns(("user", "a"), ("assistant", "first"), ("user", "b"), ("assistant", "then"))
    assert trained_text(tokenizer, messages) == "first<|end|>then<|end|>"
    messages[1]["weight"] = 0
    assert trained_text(tokenizer, messages) == "then<|end|>"


def test_labels_equal_ids_where_they_count(tokenizer):
    ids, labels = encode(turns(("user", "a"), ("assistant", "noon")), tokenizer)
    assert len(ids) == len(labels)
    assert all(label in (IGNORE, token) for token, label in zip(ids, labels, strict=True))


def test_a_template_that_rewrites_earlier_answers_trains_only_the_last(make_model):
    tokenizer = AutoTokenizer.from_pretrained(make_model())
    tokenizer.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|>"
        "{% if m['role'] == 'assistant' and not loop.last %}...{% else %}{{ m['content'] }}{% endif %}"
        "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    messages = turns(("user", "a"), ("assistant", "first"), ("user", "b"), ("assistant", "then"))
    assert trained_text(tokenizer, messages) == "then<|end|>"


def test_a_template_whose_generation_prompt_differs_still_trains_the_answer(make_model):
    tokenizer = AutoTokenizer.from_pretrained(make_model())
    tokenizer.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>hm {% endif %}"
    )
    assert trained_text(tokenizer, turns(("user", "a"), ("assistant", "silk ."))) == "silk .<|end|>"


def test_slow_tokenizers_get_the_same_labels(tokenizer):
    class Slow:
        is_fast = False
        chat_template = tokenizer.chat_template
        apply_chat_template = tokenizer.apply_chat_template

        def __call__(self, text, add_special_tokens):
            return tokenizer(text, add_special_tokens=add_special_tokens)

    messages = turns(("user", "how ?"), ("assistant", "wait noon"), ("user", "b"), ("assistant", "then"))
    assert encode(messages, Slow()) == encode(messages, tokenizer)


def test_long_rows_are_cut_and_counted_and_rows_without_answer_dropped(tokenizer):
    long = turns(("user", "lamp " * 30), ("assistant", "noon"))
    short = turns(("user", "a"), ("assistant", "noon " * 10))
    rows = [conversation(i, t) for i, t in enumerate([long, short, turns(("user", "a"))], 1)]
    result = tokenise(rows, tokenizer, 16)
    assert result.dropped == [1, 3]
    assert result.truncated == [1, 2]
    assert [row.line for row in result.rows] == [2]
    assert len(result.rows[0].input_ids) == 16


def test_bad_lines_are_named(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "a"}]}\n{"messages": 1}\n')
    with pytest.raises(InputError) as caught:
        read_rows(path)
    assert caught.value.line == 2
    path.write_text("")
    with pytest.raises(InputError):
        read_rows(path)
    with pytest.raises(InputError, match="no such file"):
        read_rows(tmp_path / "absent.jsonl")


def test_a_template_that_refuses_a_row_is_an_error_with_its_line(make_model):
    tokenizer = AutoTokenizer.from_pretrained(make_model())
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(InputError, match="alternate") as caught:
        tokenise([conversation(7, turns(("user", "a"), ("assistant", "b")))], tokenizer, 16)
    assert caught.value.line == 7
