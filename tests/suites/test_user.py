"""The user's suites: what is read, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast import suites
from holdfast.errors import InputError


def write(tmp_path: Path, name: str, text: str) -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_csv_with_everything(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "mine.csv",
        "id,prompt,hazard,expect,system,prefill,turns,cluster,_note\n"
        'a,"Say ""hi"", please\nnow",,contains:hi,Be brief.,Sure,,c1,x\n'
        'b,And now?,fraud_deception,,,,"[""one"", ""two""]",c1,\n',
    )
    suite = suites.load(file)
    first, second = suite.prompts
    assert [(m.role, m.content) for m in first.messages] == [
        ("system", "Be brief."),
        ("user", 'Say "hi", please\nnow'),
    ]
    assert (first.axis, first.expect, first.prefill, first.cluster) == (
        "capability",
        "contains:hi",
        "Sure",
        "c1",
    )
    assert [(m.role, m.content) for m in second.messages] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "And now?"),
    ]
    assert (second.axis, second.expect, second.hazard) == ("harm", "refuse", "fraud_deception")
    assert (suite.name, suite.version) == ("mine", "0")


def test_jsonl_and_json_are_the_same_suite(tmp_path: Path) -> None:
    about = {"suite": "s", "version": "2", "licence": "CC0"}
    rows = [
        {"prompt": "one", "expect": "comply"},
        {"turns": [{"role": "user", "content": "two"}], "expect": "number:2", "axis": "task"},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in [about, *rows])
    left = suites.load(write(tmp_path, "s.jsonl", "\ufeff" + lines))
    right = suites.load(write(tmp_path, "s.json", json.dumps({**about, "prompts": rows})))
    assert left == right and left.digest == right.digest
    assert [p.axis for p in left.prompts] == ["over_refusal", "task"]
    assert len({p.id for p in left.prompts}) == 2


def test_the_digest_sees_every_field(tmp_path: Path) -> None:
    row = {"id": "a", "prompt": "p", "expect": "refuse", "hazard": "malware", "cluster": "", "prefill": ""}
    plain = suites.load(write(tmp_path, "s.jsonl", json.dumps(row))).digest
    for change in (
        {"prompt": "q"},
        {"expect": "comply"},
        {"system": "x"},
        {"prefill": "x"},
        {"cluster": "x"},
    ):
        assert suites.load(write(tmp_path, "s.jsonl", json.dumps(row | change))).digest != plain


BAD = [
    ("x.csv", "id,prompt,expect\na,hello,refuse\na,world,refuse\n", 3, "already used in line 2"),
    ("x.csv", "id,prompt,expect\na,hello,refuse\nb,hello,refuse\n", 3, "same prompt as in line 2"),
    ("x.csv", "id,prompt,expect\na,   ,refuse\n", 2, "empty prompt"),
    ("x.csv", "id;prompt;expect\na;hello;refuse\n", 1, "separated by ';'"),
    ("x.csv", "id\tprompt\texpect\na\thello\trefuse\n", 1, "separated by tabs"),
    ("x.csv", "id,prompt,expect\na,hello, world,refuse\n", 2, "4 columns"),
    ("x.csv", 'id,prompt,expect\na,"hello,refuse\nb,x,refuse\n', 2, "cannot read this CSV row"),
    ("x.csv", 'id,prompt,expect\na,"hel"lo,refuse\n', 2, "cannot read this CSV row"),
    ("x.csv", "id,prompt,prompt\na,b,c\n", 1, "occurs twice"),
    ("x.csv", "id,promt,expect\na,b,refuse\n", 2, "unknown field 'promt'"),
    ("x.csv", "id,prompt,expect\na,b,perhaps\n", 2, "unknown expectation"),
    ("x.csv", "id,prompt,expect\na,b,\n", 2, "no 'expect'"),
    ("x.csv", "", None, "empty"),
    ("x.csv", "id,prompt,expect\n", None, "no prompts"),
    ("x.jsonl", '{"prompt": "a", "expect": "refuse"}\n{"prompt": "b"', 2, "not valid JSON"),
    ("x.jsonl", "[1]\n", 1, "JSON object"),
    ("x.jsonl", '{"prompt": 3, "expect": "refuse"}\n', 1, "must be text"),
    ("x.jsonl", '{"prompt": "a", "turns": [3], "expect": "refuse"}\n', 1, "turn 1"),
    ("x.jsonl", '{"prompt": "a", "axis": "fun", "expect": "refuse"}\n', 1, "unknown axis"),
    ("x.json", '"text"', None, "not a list"),
]


@pytest.mark.parametrize(("name", "text", "line", "message"), BAD)
def test_bad_input_names_the_line(
    tmp_path: Path, name: str, text: str, line: int | None, message: str
) -> None:
    file = write(tmp_path, name, text)
    with pytest.raises(InputError, match=message) as caught:
        suites.load(file)
    assert caught.value.line == line
    assert caught.value.path == str(file)


def test_not_utf8_and_missing(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(b"id,prompt,expect\na,caf\xe9,refuse\n")
    with pytest.raises(InputError, match="UTF-8"):
        suites.load(file)
    with pytest.raises(InputError, match="no such suite"):
        suites.load(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="no built-in suite"):
        suites.load("builtin:everything")
