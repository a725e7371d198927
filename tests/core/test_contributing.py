"""The examples of CONTRIBUTING.md run, do what they say, and stay under forty lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from holdfast.conversation import Conversation, Message, chat
from holdfast.judges.base import Exchange, Outcome

TEXT = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def defined(index: int) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(BLOCKS[index], "CONTRIBUTING.md", "exec"), names)
    return names


def row(example: dict[str, Any]) -> Conversation:
    return Conversation(tuple(Message(turn["role"], turn["content"]) for turn in example["messages"]))


def test_there_are_three_examples_of_under_forty_lines() -> None:
    assert len(BLOCKS) == 3
    assert all(block.count("\n") < 40 for block in BLOCKS)


def test_the_rule_fires_on_its_first_example_only() -> None:
    rule = defined(0)["CouponRule"]()
    (info,) = rule.infos
    assert [finding.code for finding in rule.check(row(info.fires))] == ["XX101"]
    assert list(rule.check(row(info.passes))) == []


def test_the_judge_judges() -> None:
    judge = defined(1)["LengthJudge"]()
    asked = chat(("user", "hello"))
    found = judge.judge([Exchange(asked, "short"), Exchange(asked, "x" * 1001)])
    assert [one.outcome for one in found] == [Outcome.SAFE, Outcome.HARMFUL]


def test_the_guard_pulls_back() -> None:
    torch = pytest.importorskip("torch")
    guard = defined(2)["WeightAnchor"](strength=0.5)
    model = torch.nn.Linear(2, 1, bias=False)

    class Trainer:
        pass

    trainer: Any = Trainer()
    trainer.model = model
    guard.prepare(trainer, None)
    with torch.no_grad():
        model.weight += torch.tensor([[1.0, 2.0]])
    loss = guard.loss(trainer, model, None)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * 5)
    assert model.weight.grad.tolist() == [[pytest.approx(1.0), pytest.approx(2.0)]]
