"""Recorded answers: what is read, looked up, and refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import models
from holdfast.conversation import chat
from holdfast.errors import InputError
from holdfast.models import Decoding, Prompt

HELLO = Prompt(chat(("user", "hello")))


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_answers_are_found_by_prompt_and_sample(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        [
            {"prompt": "hello", "response": "second", "sample": 1},
            {"prompt": [{"role": "user", "content": "hello"}], "response": "first", "sample": 0},
            {"prompt": "hello", "response": "go on", "prefill": "Sure"},
            {"prompt": "cut", "response": "abc", "finish": "length"},
            {"prompt": "lost", "response": None, "finish": "error", "error": "HTTP 500"},
            {"prompt": "empty", "response": ""},
        ],
    )
    model = models.load(f"recorded:{file}")
    asked = ["hello", "cut", "lost", "empty", "other"]
    prompts = [Prompt(chat(("user", text))) for text in asked] + [Prompt(HELLO.messages, prefill="Sure")]
    answers = model.generate(prompts, Decoding(samples=2))
    assert [c.text for c in answers[0]] == ["first", "second"]
    assert answers[1][0].finish == "length" and answers[1][1].finish == "error"
    assert answers[2][0].error == "HTTP 500"
    assert (answers[3][0].text, answers[3][0].finish) == ("", "stop")
    assert "no recorded answer" in (answers[4][0].error or "")
    assert answers[5][0].text == "go on"
    with_system = Prompt(chat(("system", "s"), ("user", "hello")))
    assert model.generate([with_system], Decoding())[0][0].finish == "error"


def test_csv_and_the_digest_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    turns = '"[{""role"": ""user"", ""content"": ""two""}]"'
    file.write_text(f'prompt,response,suite\nhello,"a ""quoted"", answer",s\n{turns},x,s\n')
    model = models.load(f"recorded:{file}")
    assert model.generate([HELLO], Decoding())[0][0].text == 'a "quoted", answer'
    assert model.generate([Prompt(chat(("user", "two")))], Decoding())[0][0].text == "x"
    before = model.identity.weights
    file.write_text(file.read_text() + "more,y,s\n")
    assert models.load(f"recorded:{file}").identity.weights != before


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"prompt": "a", "response": "b"}\n{"prompt": "a"', 2, "not valid JSON"),
        ('{"response": "b"}\n', 1, "no 'prompt'"),
        ('{"prompt": "a"}\n', 1, "no 'response'"),
        ('{"prompt": "a", "response": "b", "sample": "x"}\n', 1, "whole number"),
        ('{"prompt": "a", "response": "b", "finish": "maybe"}\n', 1, "finish 'maybe'"),
        ('{"prompt": "a", "response": "b", "sample": 0}\n' * 2, 2, "second answer"),
        ('{"prompt": [{"role": "king", "content": "a"}], "response": "b"}\n', 1, "no 'prompt'"),
        ("[]\n", 1, "JSON object"),
        ("\n", None, "no recorded answers"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        models.load(f"recorded:{file}")
    assert caught.value.line == line


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        models.load(f"recorded:{tmp_path / 'gone.jsonl'}")


PAIRS = st.tuples(st.text(min_size=1).filter(str.strip), st.text())


@settings(max_examples=50, deadline=None)
@given(st.lists(PAIRS, min_size=1, max_size=8, unique_by=lambda pair: pair[0]))
def test_whatever_was_recorded_comes_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    pairs = [(p, a) for p, a in pairs if not p.lstrip().startswith('[{"')]
    if not pairs:
        return
    rows = [{"prompt": prompt, "response": answer} for prompt, answer in pairs]
    model = models.load(f"recorded:{write(tmp_path_factory.mktemp('r'), rows)}")
    answers = model.generate([Prompt(chat(("user", prompt))) for prompt, _ in pairs], Decoding())
    assert [a[0].text for a in answers] == [answer for _, answer in pairs]
