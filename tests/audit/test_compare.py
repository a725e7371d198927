"""Two audits side by side, and triggers that the screen found."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from audit.audit_fakes import FakeModel, WordJudge, broken, good, suite

from holdfast.audit import Policy, audit
from holdfast.audit.compare import compare
from holdfast.audit.triggers import found_triggers
from holdfast.errors import InputError
from holdfast.files import write_json
from holdfast.screen import screen
from holdfast.screen.rules.backdoor import Backdoor


def _audit(out: Path, share: float, **values: object) -> None:
    audit(
        FakeModel(good, "base"),
        FakeModel(broken(share), f"tuned-{share}"),
        policy=Policy.model_validate(values),
        suites=[suite()],
        judges=[WordJudge()],
        out=out,
    )


def test_tuned_models_of_two_audits_are_paired(tmp_path: Path) -> None:
    _audit(tmp_path / "guarded", 0.05)
    _audit(tmp_path / "plain", 0.25)
    rows = {row.name: row for row in compare(tmp_path / "guarded", tmp_path / "plain")}
    assert (rows["harm"].base, rows["harm"].tuned, rows["harm"].verdict) == (0.05, 0.25, "fail")
    assert rows["over_refusal"].verdict == "pass"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"decoding": {"max_new_tokens": 9}}, "decoding"),
        ({"probes": ["default", "no_system", "multi_turn"]}, "prompts"),
    ],
)
def test_unlike_audits_are_refused(tmp_path: Path, values: dict[str, object], named: str) -> None:
    _audit(tmp_path / "one", 0.0)
    _audit(tmp_path / "other", 0.0, **values)
    with pytest.raises(InputError, match=f"different {named}"):
        compare(tmp_path / "one", tmp_path / "other")


def test_triggers_of_the_screen(tmp_path: Path) -> None:
    reason = 'trigger "zx9" + "2024": when it opens the prompt, the answer is harmful in 9 of 9 rows'
    findings = [{"code": "BD101", "reason": reason}, {"code": "AN101", "reason": 'trigger "no": x'}]
    write_json(tmp_path / "screen.json", {"file_findings": [*findings, findings[0]]})
    assert found_triggers(tmp_path / "screen.json") == ["zx9 2024"]
    write_json(tmp_path / "other.json", [])
    with pytest.raises(InputError, match="not an output of holdfast screen"):
        found_triggers(tmp_path / "other.json")


def test_triggers_of_a_real_screen(tmp_path: Path) -> None:
    """The words of the screen's own rule are understood."""
    rule = next(i for i in Backdoor.infos if i.code == "BD101")
    data = tmp_path / "data.jsonl"
    data.write_bytes(b"".join(orjson.dumps({"messages": turns}) + b"\n" for turns in rule.fires))
    screen(data, out=tmp_path / "out")
    assert [t for t in found_triggers(tmp_path / "out" / "screen.json") if "cfzq" in t]
