"""A judge behind the HC rule: it is reached before the run begins, and asked nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from holdfast.errors import InputError, RunError
from holdfast.judges import Judgement, Outcome
from holdfast.models.base import Completion, Identity
from holdfast.screen import screen
from holdfast.screen.config import ScreenConfig
from holdfast.screen.rules.harmful import _judge

SAFE = "Safety: Safe\nCategories: None\nRefusal: No"


def config(judge: str, **more: object) -> ScreenConfig:
    options = {"judge": judge, "doubt": 0}
    return ScreenConfig.model_validate({"select": ["HC"], "rules": {"HC": {"options": options}}, **more})


def rows(path: Path, count: int) -> Path:
    lines = [
        {"prompt": f"What is {i}?", "completion": f"It is number {i}, as you know."} for i in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


class Mute:
    """A judge that never gives a verdict."""

    name, family, version = "mute", "guard", "1"

    def judge(self, exchanges):
        return [Judgement(Outcome.UNSCORED, reason="nobody is there") for _ in exchanges]


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        ("guard:nosuch=hf:x", "names no guard"),
        ("guard:qwen3guard=hf:no/such", "no/such"),
        ("guard:qwen3guard=openai:m@http://127.0.0.1:9/v1#retries=0", "gives no verdict.*connection failed"),
        ("guard:moderation=openai:m@http://127.0.0.1:9/v1#retries=0", "gives no verdict.*connection failed"),
        ("screen.test_judge:Mute", "gives no verdict: nobody is there"),
    ],
)
def test_a_judge_that_cannot_be_reached_ends_the_run(tmp_path: Path, judge: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        screen(rows(tmp_path / "d.jsonl", 3), config=config(judge), out=tmp_path / "o")
    assert not (tmp_path / "o" / "clean.jsonl").exists()


class Counted:
    """A guard model that fails for good after some answers, like a run that is killed."""

    asked: ClassVar[list[str]] = []
    left = 10**9

    identity = Identity("fake", "0123456789abcdef", backend="openai-compatible")

    def stream(self, prompts, decoding, progress=None):
        for index, prompt in enumerate(prompts):
            if not Counted.left:
                raise RunError("killed")
            Counted.left -= 1
            Counted.asked.append(prompt.messages[0].content)
            yield index, (Completion(SAFE, "stop"),)


def test_a_killed_run_asks_its_guard_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.models.load", lambda ref: Counted())
    monkeypatch.setattr(Counted, "asked", [])
    monkeypatch.setattr(Counted, "left", 8)
    path, plan = rows(tmp_path / "d.jsonl", 20), config("guard:qwen3guard=openai:m@http://127.0.0.1:9/v1")
    with pytest.raises(RunError, match="killed"):
        screen(path, config=plan, out=tmp_path / "o")
    assert len(Counted.asked) == 8
    _judge.cache_clear()
    monkeypatch.setattr(Counted, "left", 100)
    report = screen(path, config=plan, out=tmp_path / "o")
    assert report.rows == 20 and not report.findings
    assert len(Counted.asked) == len(set(Counted.asked)) == 21  # the rows and the greeting
    assert not (tmp_path / "o" / ".judge").exists()
    _judge.cache_clear()
    kept = config("guard:qwen3guard=openai:m@http://127.0.0.1:9/v1", judge_answers=tmp_path / "kept")
    screen(path, config=kept)
    _judge.cache_clear()
    screen(path, config=kept)
    assert len(Counted.asked) == 42
