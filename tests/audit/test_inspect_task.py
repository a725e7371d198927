"""A real inspect_ai task on both models (skipped where inspect_ai is not installed)."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit.audit_fakes import FakeModel, good, number

from holdfast.audit import Policy, audit
from holdfast.audit.inspect_task import run_task
from holdfast.audit.recorded_judge import RecordedJudge
from holdfast.errors import InputError
from holdfast.models import Decoding, Prompt
from holdfast.suites import load as load_suite

_TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def sums():
    samples = [Sample(input=f"sum {i}", target=str(i), id=f"s{i}") for i in range(120)]
    return Task(dataset=samples, solver=[generate()], scorer=includes())
"""


def test_missing_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "inspect_ai", None)
    with pytest.raises(InputError, match=r"holdfast\[inspect\]"):
        run_task("task.py", FakeModel(good), Decoding(), tmp_path)


def test_task_on_both_models(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai", reason="the extra 'inspect' is not installed")
    file = tmp_path / "task.py"
    file.write_text(_TASK, encoding="utf-8")

    def forgets(prompt: Prompt, sample: int) -> str:
        return "no idea" if number(prompt) % 3 == 0 else good(prompt)

    arms = [
        run_task(f"{file}@sums", FakeModel(reply, name), Decoding(), tmp_path / name)
        for name, reply in (("base", good), ("tuned", forgets))
    ]
    (base, first), (tuned, second) = arms
    report = audit(
        base,
        tuned,
        policy=Policy.model_validate({"required_axes": ["capability"]}),
        suites=[load_suite(str(first.suite))],
        judges=[RecordedJudge([first.answers, second.answers])],
        out=tmp_path / "audit",
    )
    row = report.axis("capability")
    assert row is not None and (row.tuned, row.verdict) == (40 / 120, "fail")
    assert report.digests["tuned"]["ref"] == "tuned"
    with pytest.raises(InputError, match="not found"):
        run_task(f"{file}@other", FakeModel(good), Decoding(), tmp_path / "x")
    with pytest.raises(InputError, match="no such file"):
        run_task(str(tmp_path / "no.py"), FakeModel(good), Decoding(), tmp_path / "x")
