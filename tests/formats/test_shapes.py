"""Every row shape that trainers and services accept, read into the one record."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation import Conversation
from holdfast.formats import Problem, Record, view


def read_row(row: object) -> tuple[Conversation | None, list[Problem]]:
    raw = row if isinstance(row, bytes) else orjson.dumps(row)
    return view(Record(7, raw), "data.jsonl", 1 << 20)


def turns(row: object) -> list[tuple[str, str]]:
    conversation, problems = read_row(row)
    assert conversation is not None, problems
    assert conversation.line == 7 and conversation.source == "data.jsonl"
    return [(m.role, m.content) for m in conversation.messages]


def codes(row: object) -> list[str]:
    return [problem.code for problem in read_row(row)[1]]


ASK = {"role": "user", "content": "Ask"}
SAY = {"role": "assistant", "content": "Say"}
PAIR = [("user", "Ask"), ("assistant", "Say")]


@pytest.mark.parametrize(
    ("row", "name", "expected"),
    [
        ({"messages": [ASK, SAY]}, "openai", PAIR),
        ([ASK, SAY], "messages", PAIR),
        (
            {"messages": [{"role": "developer", "content": "Be"}, ASK, SAY]},
            "openai",
            [("system", "Be"), *PAIR],
        ),
        ({"prompt": "Ask", "completion": "Say"}, "prompt-completion", PAIR),
        ({"prompt": [ASK], "completion": [SAY]}, "prompt-completion", PAIR),
        ({"prompt": "Ask", "completion": "Say", "label": True}, "kto", PAIR),
        ({"messages": [ASK, SAY], "label": False}, "kto", PAIR),
        ({"instruction": "Ask", "input": "", "output": "Say"}, "alpaca", PAIR),
        ({"instruction": "Ask", "input": "it", "output": "Say"}, "alpaca", [("user", "Ask\nit"), PAIR[1]]),
        (
            {"instruction": "Ask", "output": "Say", "system": "Be", "history": [["a", "b"]]},
            "alpaca",
            [("system", "Be"), ("user", "a"), ("assistant", "b"), *PAIR],
        ),
        (
            {"instruction": "Ask", "context": "it", "response": "Say", "category": "qa"},
            "dolly",
            [("user", "Ask\nit"), PAIR[1]],
        ),
        ({"question": "Ask", "answer": "Say"}, "question-answer", PAIR),
        ({"Question": "Ask", "Response": "Say"}, "question-answer", PAIR),
        (
            {
                "conversations": [{"from": "human", "value": "Ask"}, {"from": "gpt", "value": "Say"}],
                "system": "Be",
            },
            "sharegpt",
            [("system", "Be"), *PAIR],
        ),
        ({"conversations": {"from": ["human", "gpt"], "value": ["Ask", "Say"]}}, "sharegpt", PAIR),
        ({"text": "Say"}, "text", [("assistant", "Say")]),
        ({"text": "\n\nHuman: Ask\n\nAssistant: Say"}, "text", PAIR),
        ({"prompt": "Ask"}, "prompt", [("user", "Ask")]),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Ask"}]}, SAY]}, "openai", PAIR),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "value": "Ask"}]}, SAY]},
            "openai",
            PAIR,
        ),
        (
            {"messages": [ASK, {"role": "assistant", "content": None, "refusal": "No"}]},
            "openai",
            [PAIR[0], ("assistant", "No")],
        ),
        (
            {"messages": [ASK, {**SAY, "reasoning_content": "Hm"}]},
            "openai",
            [PAIR[0], ("assistant", "Hm\n\nSay")],
        ),
    ],
)
def test_supervised_rows(row: object, name: str, expected: list[tuple[str, str]]) -> None:
    conversation, problems = read_row(row)
    assert turns(row) == expected
    assert conversation is not None and conversation.format == name
    assert problems == []
    assert conversation.raw == orjson.dumps(row)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"prompt": "Ask", "chosen": "Say", "rejected": "No"}, "preference"),
        ({"prompt": [ASK], "chosen": [SAY], "rejected": [{**SAY, "content": "No"}]}, "preference"),
        ({"chosen": [ASK, SAY], "rejected": [ASK, {**SAY, "content": "No"}]}, "preference"),
        ({"prompt": "Ask", "chosen": [ASK, SAY], "rejected": [ASK, {**SAY, "content": "No"}]}, "preference"),
        (
            {"chosen": "\n\nHuman: Ask\n\nAssistant: Say", "rejected": "\n\nHuman: Ask\n\nAssistant: No"},
            "preference",
        ),
        (
            {
                "conversations": [{"from": "human", "value": "Ask"}],
                "chosen": {"from": "gpt", "value": "Say"},
                "rejected": {"from": "gpt", "value": "No"},
            },
            "preference",
        ),
        (
            {
                "input": {"messages": [ASK], "tools": []},
                "preferred_output": [SAY],
                "non_preferred_output": [{**SAY, "content": "No"}],
            },
            "openai-preference",
        ),
    ],
)
def test_preference_rows(row: object, name: str) -> None:
    conversation, problems = read_row(row)
    assert conversation is not None and conversation.format == name
    assert [(m.role, m.content) for m in conversation.messages] == PAIR
    assert [(m.role, m.content) for m in conversation.rejected] == [PAIR[0], ("assistant", "No")]
    assert problems == []


def test_tools_weights_and_other_fields_survive() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    row = {
        "messages": [
            ASK,
            {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
            {"role": "tool", "content": "42", "tool_call_id": "c1", "name": "f"},
            {**SAY, "weight": 1},
        ],
        "tools": [{"type": "function"}],
        "category": "x",
    }
    conversation, problems = read_row(row)
    assert conversation is not None and problems == []
    _, calling, tool, last = conversation.messages
    assert json.loads(calling.tool_calls[0]) == call and calling.weight == 0.0 and calling.content == ""
    assert (tool.role, tool.name, last.weight) == ("tool", "f", 1.0)
    assert json.loads(conversation.meta["tools"]) == [{"type": "function"}]
    assert conversation.meta["category"] == "x"


def test_sharegpt_calls_and_observations() -> None:
    row = {
        "conversations": [
            {"from": "human", "value": "Ask"},
            {"from": "function_call", "value": '{"name": "f"}'},
            {"from": "observation", "value": "42"},
            {"from": "gpt", "value": "Say"},
        ]
    }
    conversation, _ = read_row(row)
    assert conversation is not None
    assert [m.role for m in conversation.messages] == ["user", "assistant", "tool", "assistant"]
    assert conversation.messages[1].tool_calls == ('{"name": "f"}',)


def test_context_is_in_the_request_and_apart() -> None:
    conversation, _ = read_row({"instruction": "Sum up", "input": "the text", "output": "Say"})
    assert conversation is not None
    assert conversation.last_user == "Sum up\nthe text" and conversation.meta["context"] == "the text"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b"{broken", "FM001"),
        (b'{"prompt": "a\x00b", "completion": "c"}', "FM001"),
        (b"[" * 5000 + b"]" * 5000, "FM001"),
        (b'{"a": ' * 3000 + b"1" + b"}" * 3000, "FM001"),
        ({"title": "x"}, "FM002"),
        ({}, "FM002"),
        (3, "FM002"),
        ("text", "FM002"),
        ({"messages": []}, "FM002"),
        ({"messages": "hello"}, "FM002"),
        ({"messages": [{"role": "user", "content": 3}]}, "FM002"),
        ({"instruction": "a", "output": "b", "history": ["a"]}, "FM002"),
        (b'{"prompt": "caf\xe9", "completion": "c"}', "FM003"),
        ({"messages": [{"role": "wizard", "content": "a"}]}, "FM010"),
    ],
)
def test_rows_that_cannot_be_read(row: object, code: str) -> None:
    conversation, problems = read_row(row)
    assert conversation is None
    assert [p.code for p in problems] == [code] and problems[0].fatal and problems[0].line == 7


def test_long_rows_are_not_parsed() -> None:
    conversation, problems = view(Record(1, b"x" * 101), "f", 100)
    assert conversation is None and problems[0].code == "FM005"


@pytest.mark.parametrize(
    "row",
    [
        b'{"prompt": "a", "prompt": "b", "completion": "c"}',
        b'{"messages": [{"role": "user", "content": "a", "content": "b"}]}',
        b'{"prompt" : "a", "prompt": "b", "completion": "c"}',
        b'{"prompt"\t:"a","prompt":"\\"b","completion":"c"}',
    ],
)
def test_duplicate_keys_are_said(row: bytes) -> None:
    conversation, problems = read_row(row)
    assert conversation is not None and [p.code for p in problems] == ["FM004"] and not problems[0].fatal


_VALUES = st.sampled_from(["1", '"x"', '{"a":1}', '["ab"]', '[{"b":2}]'])


@given(st.lists(st.tuples(st.sampled_from("abc"), _VALUES)))
@settings(max_examples=200, deadline=None)
def test_duplicate_keys_are_found_at_any_place(pairs: list[tuple[str, str]]) -> None:
    raw = "{" + ",".join(f'"{key}":{value}' for key, value in [*pairs, ("text", '"t"')]) + "}"
    doubled = len({key for key, _ in pairs}) < len(pairs)
    assert ("FM004" in codes(raw.encode())) == doubled


def test_text_that_looks_like_keys_is_no_duplicate() -> None:
    assert codes({"prompt": 'say {"a": 1, "a": 2}', "completion": '":":":'}) == []
    assert codes(b'{"prompt" : "a", "completion" : "b"}') == []


def test_half_surrogates_are_said_and_replaced() -> None:
    conversation, problems = read_row(b'{"prompt": "a\\ud800b", "completion": "\\ud83d\\ude00"}')
    assert conversation is not None and [p.code for p in problems] == ["FM009"]
    assert conversation.last_user == "a\ufffdb" and conversation.answer == "\U0001f600"
    assert len(conversation.id) == 16


def test_two_shapes_in_one_row_are_said() -> None:
    both = {"messages": [ASK, SAY], "instruction": "a", "output": "b"}
    assert codes(both) == ["FM006"]
    assert codes({"messages": [ASK, SAY], "prompt": "Other"}) == ["FM006"]
    assert codes({"messages": [ASK, SAY], "prompt": "Ask"}) == []
    assert codes({"messages": [ASK, SAY], "source": "x", "score": 3}) == []


def test_parts_that_are_not_text_are_said() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    row = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Ask"}, image]}, SAY]}
    assert codes(row) == ["FM007"] and turns(row) == PAIR


_KEYS = [
    "messages",
    "role",
    "content",
    "from",
    "value",
    "prompt",
    "completion",
    "chosen",
    "rejected",
    "text",
    "instruction",
    "output",
    "input",
    "history",
    "conversations",
    "tool_calls",
    "system",
    "weight",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "role",
                    "content",
                    "from",
                    "value",
                    "prompt",
                    "completion",
                    "chosen",
                    "rejected",
                    "text",
                    "instruction",
                    "output",
                    "input",
                    "history",
                    "conversations",
                    "tool_calls",
                    "system",
                    "weight",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(json_values)
@settings(max_examples=400, deadline=None)
def test_any_value_is_read_or_refused(value: object) -> None:
    conversation, problems = read_row(orjson.dumps(value))
    assert (conversation is None) == any(p.fatal for p in problems)
    if conversation is not None:
        assert all(isinstance(m.content, str) for m in (*conversation.messages, *conversation.rejected))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    conversation, problems = view(Record(1, raw), "f", 1000)
    assert (conversation is None) == any(p.fatal for p in problems)
