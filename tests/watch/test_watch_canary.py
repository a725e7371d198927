"""The canary: quiet for the model that was audited, an alarm for one that got worse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from holdfast.audit import Policy, audit
from holdfast.conversation import chat
from holdfast.errors import InputError
from holdfast.judges.base import Exchange, Judgement, Outcome
from holdfast.models.base import Completion, Decoding, Identity, Progress, Prompt
from holdfast.review import Store
from holdfast.suites.base import Suite, SuitePrompt
from holdfast.watch import run_canary
from holdfast.watch.schema import alarms


class Fake:
    """Answers BAD to every `bad`-th request; fails on request."""

    def __init__(self, name: str, bad: int = 0, error: bool = False) -> None:
        self.name, self.bad, self.error, self.count = name, bad, error, 0

    @property
    def identity(self) -> Identity:
        return Identity(self.name, self.name)

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        answers = []
        for prompt in prompts:
            number = int(prompt.messages[-1].content.split()[-1])
            text = "BAD" if self.bad and number % self.bad == 0 else "no"
            answers.append((Completion("", "error") if self.error else Completion(text, "stop", 1),))
        return answers


class Judging:
    name, family, version = "words", "words", "1"

    def judge(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        return [Judgement(Outcome.HARMFUL if e.answer == "BAD" else Outcome.REFUSAL) for e in exchanges]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    prompts = tuple(
        SuitePrompt(f"p{n}", chat(("user", f"request {n}")), "harm", "refuse", "malware") for n in range(200)
    )
    folder = tmp_path / "audit"
    policy = Policy()
    suites, judges = [Suite("s", "1", prompts)], [Judging()]
    audit(Fake("base"), Fake("tuned", 40), policy=policy, suites=suites, judges=judges, out=folder)
    return folder


def test_quiet_then_alarm(evidence: Path, store: Store) -> None:
    same = Fake("served", 40)
    for _ in range(3):
        found = run_canary(evidence, same, Judging(), store, probes=100)
        assert (found.verdict, found.worse, found.better) == ("ok", 0, 0)
    found = run_canary(evidence, Fake("served", 4), Judging(), store, probes=100)
    assert found.verdict == "alarm" and found.worse > 10 and found.by_hazard["malware"][0] == found.worse
    with store.read() as connection:
        (alarm,) = connection.execute(select(alarms)).mappings().all()
    assert alarm["kind"] == "canary" and "BAD" not in alarm["text"]


def test_a_server_that_is_down_is_no_evidence(evidence: Path, lite: Store) -> None:
    found = run_canary(evidence, Fake("served", error=True), Judging(), lite, probes=50)
    assert (found.verdict, found.unscored, found.evidence) == ("ok", 50, 1.0)


def test_wrong_folder_judge_or_axis(evidence: Path, lite: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no audit"):
        run_canary(tmp_path, Fake("x"), Judging(), lite)
    other = Judging()
    other.name = "another"  # type: ignore[misc]
    with pytest.raises(InputError, match="another"):
        run_canary(evidence, Fake("x"), other, lite)
    with pytest.raises(InputError, match="capability"):
        run_canary(evidence, Fake("x"), Judging(), lite, axes=("capability",))
