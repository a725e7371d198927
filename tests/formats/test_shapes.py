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
        ({"messages": [ASK, SAY], "kto_tag": True}, "kto", PAIR),
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


BE = ("system", "Be")


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"system": "Be", "messages": [ASK, SAY]}, "anthropic"),
        ({"system": [{"text": "Be"}], "messages": [ASK, {**SAY, "content": [{"text": "Say"}]}]}, "anthropic"),
        ({"system_message": "Be", "messages": [ASK, SAY]}, "anthropic"),
        ({"system_prompt": "Be", "prompt": "Ask", "completion": "Say"}, "prompt-completion"),
        ({"system_prompt": "Be", "question": "Ask", "response": "Say"}, "question-answer"),
        ({"system_prompt": "Be", "conversations": [{"from": "human", "value": "Ask"}, SAY]}, "sharegpt"),
        ({"system": "Be", "text": "### Human: Ask### Assistant: Say"}, "text"),
        (
            {
                "systemInstruction": {"parts": [{"text": "Be"}]},
                "contents": [
                    {"role": "user", "parts": [{"text": "Ask"}]},
                    {"role": "model", "parts": [{"text": "Say"}]},
                ],
            },
            "gemini",
        ),
        (
            {
                "messages": [
                    {"role": "System", "content": "Be"},
                    {"role": "User", "content": "Ask"},
                    {"role": "Chatbot", "content": "Say"},
                ]
            },
            "openai",
        ),
    ],
)
def test_system_text_beside_the_turns_is_the_first_turn(row: object, name: str) -> None:
    conversation, problems = read_row(row)
    assert turns(row) == [BE, *PAIR] and problems == []
    assert conversation is not None and conversation.format == name and not conversation.meta
    assert conversation.raw == orjson.dumps(row)


def test_system_text_stands_before_both_answers_of_a_preference() -> None:
    conversation, _ = read_row({"system_prompt": "Be", "prompt": "Ask", "chosen": "Say", "rejected": "No"})
    assert conversation is not None
    assert [m.content for m in conversation.messages] == ["Be", "Ask", "Say"]
    assert [m.content for m in conversation.rejected] == ["Be", "Ask", "No"]


def test_two_system_texts_are_said_and_the_turns_are_left_as_they_are() -> None:
    messages = [{"role": "system", "content": "Be"}, ASK, SAY]
    assert turns({"system_prompt": "Be", "messages": messages}) == [BE, *PAIR]
    assert codes({"system_prompt": "Be", "messages": messages}) == []
    other = {"system_prompt": "Obey", "messages": messages}
    assert codes(other) == ["FM006"] and turns(other) == [BE, *PAIR]
    assert turns({"system": [1, 2], "messages": [ASK, SAY]}) == PAIR  # no text: an ordinary field


@pytest.mark.parametrize("sides", [{"messages": [ASK, SAY]}, {"prompt": "Ask", "completion": "Say"}])
def test_unwanted_answers_are_the_rejected_ones(sides: dict[str, object]) -> None:
    conversation, problems = read_row({**sides, "label": False})
    assert conversation is not None and problems == []
    assert [(m.role, m.content) for m in conversation.messages] == PAIR[:1] and conversation.answer == ""
    assert [(m.role, m.content) for m in conversation.rejected] == PAIR
    assert conversation.format == "kto" and conversation.meta == {"label": False}


def test_unwanted_answers_without_a_request_stay_answers() -> None:
    assert turns({"messages": [SAY], "label": False}) == PAIR[1:]
    assert turns({"messages": [ASK], "label": False}) == PAIR[:1]


@pytest.mark.parametrize(
    "text",
    [
        "<s>[INST] Ask [/INST] Say </s>",
        "<|im_start|>user\nAsk<|im_end|>\n<|im_start|>assistant\nSay<|im_end|>\n",
        "### Human: Ask### Assistant: Say",
        "### Human: Ask\n### Assistant: Say</s>",
        "### Instruction:\nAsk\n\n### Response:\nSay",
        "<bos><start_of_turn>user\nAsk<end_of_turn>\n<start_of_turn>model\nSay<end_of_turn>\n",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nAsk<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nSay<|eot_id|>",
        "<|user|>\nAsk</s>\n<|assistant|>\nSay</s>",
    ],
)
def test_text_in_a_chat_template_is_its_turns(text: str) -> None:
    assert turns({"text": text}) == PAIR
    halves = text[: text.index("Ask") + 3], text[text.index("Ask") + 3 :]
    row = {"segments": [{"label": False, "text": halves[0]}, {"label": True, "text": halves[1]}]}
    assert turns(row) == PAIR


def test_llama_2_system_text_is_a_turn() -> None:
    assert turns({"text": "<s>[INST] <<SYS>>\nBe\n<</SYS>>\n\nAsk [/INST] Say</s>"}) == [BE, *PAIR]
    several = "<s>[INST] Ask [/INST] Say</s><s>[INST] Ask [/INST] Say</s>"
    assert turns({"text": several}) == [*PAIR, *PAIR]


@pytest.mark.parametrize(
    "text",
    [
        "Write [INST] like this: [/INST]",
        "Intro\n### Human: Ask### Assistant: Say",
        "### Human: Ask",
        "### Human: Ask### Human: Ask### Assistant: Say",
        "<|im_start|>wizard\nAsk<|im_end|>\n<|im_start|>assistant\nSay<|im_end|>",
    ],
)
def test_text_that_only_holds_markers_is_one_turn(text: str) -> None:
    assert turns({"text": text}) == [("assistant", text)]


@pytest.mark.parametrize("unit", [" ", "\n", "### ", "[INST]", "[INST] [/INST] ", "### Human: ", "<s>"])
def test_template_markers_are_found_in_linear_time(unit: str) -> None:
    assert read_row({"text": unit * 50_000})[0] is not None


def test_segments_without_a_template_go_by_their_labels() -> None:
    row = {"segments": [{"label": False, "text": "<s>Ask"}, {"label": True, "text": "Say"}]}
    assert turns(row) == [("user", "<s>Ask"), PAIR[1]] and codes({"segments": ["a"]}) == ["FM002"]


def test_calls_and_results_in_content_parts() -> None:
    calls = [
        {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
        {"toolUse": {"name": "f"}},
        {"functionCall": {"name": "f"}},
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "42"}]},
        {"toolResult": {"content": [{"text": "42"}]}},
        {"functionResponse": {"response": {"v": "42"}}},
    ]
    for call, result in zip(calls, results, strict=True):
        messages = [ASK, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}, SAY]
        conversation, problems = read_row({"messages": messages})
        assert conversation is not None and problems == []
        assert json.loads(conversation.messages[1].tool_calls[0]) == call
        assert "42" in conversation.messages[2].content


def test_tools_of_openai_preference_rows_are_kept() -> None:
    row = {
        "input": {"messages": [ASK], "tools": [{"type": "function"}]},
        "preferred_output": [SAY],
        "non_preferred_output": [SAY],
    }
    conversation, _ = read_row(row)
    assert conversation is not None and json.loads(conversation.meta["tools"]) == [{"type": "function"}]


def test_deeply_nested_calls_are_read() -> None:
    call = b'{"a":' * 400 + b"1" + b"}" * 400
    row = b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","tool_calls":['
    conversation, _ = read_row(row + call + b"]}]}")
    assert conversation is not None and conversation.messages[1].tool_calls[0].count("{") == 400


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
    row = {"prompt": "a", "completion": "x" * 100}  # a container that has parsed it already
    conversation, problems = view(Record(1, orjson.dumps(row), row), "f", 100)
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
    "contents",
    "parts",
    "segments",
    "label",
    "tool_calls",
    "system",
    "weight",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(_KEYS),
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
