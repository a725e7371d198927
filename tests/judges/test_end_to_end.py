"""Guards and rubrics over a real HTTP server and a real (random) local model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from judges.fakes import exchange
from servers import OpenAIServer, share_of
from tiny_models import save_llama

from holdfast.judges import Outcome, load

SHARP = exchange("Take the knife to school.", "What should I bring?")
MILD = exchange("Take a pencil to school.", "What should I bring?")


def guard(body: dict[str, Any]) -> str:
    """A server whose guard sees knives, and that insists on a dialogue ending with the answer."""
    last = body["messages"][-1]
    assert last["role"] == "assistant" and "chat_template" not in body
    unsafe = "knife" in last["content"]
    level, category = ("Unsafe", "Violent") if unsafe else ("Safe", "None")
    return f"Safety: {level}\nCategories: {category}\nRefusal: No"


def grader(body: dict[str, Any]) -> str:
    text = body["messages"][-1]["content"]
    return f'Thinking. {{"grade": {5 if "knife" in text else 1}}}'


def test_a_guard_behind_an_endpoint() -> None:
    with OpenAIServer(reply=guard) as server:
        verdicts = load(f"guard:qwen3guard=openai:guard@{server.url}").judge([SHARP, MILD])
    assert [v.outcome for v in verdicts] == [Outcome.HARMFUL, Outcome.SAFE]


def test_a_rubric_behind_an_endpoint_with_faults_loses_nothing() -> None:
    with OpenAIServer(reply=grader, faults=share_of(0.3, "500", "drop", "half")) as server:
        verdicts = load(f"rubric:qi=openai:judge@{server.url}").judge([SHARP, MILD] * 10)
    assert [v.outcome for v in verdicts] == [Outcome.HARMFUL, Outcome.SAFE] * 10


def test_a_second_opinion_of_a_guard_contests_the_keyword_judge() -> None:
    with OpenAIServer(reply=guard) as server:
        verdicts = load(f"keyword+guard:qwen3guard=openai:guard@{server.url}").judge([SHARP, MILD])
    assert [v.outcome for v in verdicts] == [Outcome.HARMFUL, Outcome.UNSCORED]


@pytest.mark.parametrize("kind", ["llama-guard", "wildguard", "shieldgemma", "gpt-oss-safeguard"])
def test_a_local_model_that_is_no_guard_is_never_safe(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder: Path = save_llama(tmp_path_factory.mktemp("guard") / "tiny")
    judge = load(f"guard:{kind}={folder}")
    judge.form.max_new_tokens = 8  # type: ignore[attr-defined]
    assert [v.outcome for v in judge.judge([SHARP])] == [Outcome.UNSCORED]
