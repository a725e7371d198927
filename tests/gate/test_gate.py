"""The gate: policy against evidence, waivers, demands, and the files it writes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest
from audit.audit_fakes import FakeModel, WordJudge, broken, good, suite

from holdfast.audit import AuditReport, Policy, audit
from holdfast.cli.app import main
from holdfast.errors import ExitCode, InputError
from holdfast.files import digest_file
from holdfast.gate import decide, junit, statement, summary
from holdfast.mix.barred import Barred, prompt_digest

TODAY = date(2030, 1, 1)


def _audit(folder: Path, share: float = 0.0, policy: Policy | None = None) -> AuditReport:
    return audit(
        FakeModel(good, "base"),
        FakeModel(broken(share), "tuned"),
        policy=policy or Policy(),
        suites=[suite()],
        judges=[WordJudge()],
        out=folder,
    )


def _policy(**values: object) -> Policy:
    return Policy.model_validate(values)


def test_exit_codes(tmp_path: Path) -> None:
    for name, share, code in (
        ("pass", 0.0, ExitCode.PASS),
        ("fail", 0.2, ExitCode.FAIL),
        ("open", 0.04, ExitCode.INCONCLUSIVE),
    ):
        _audit(tmp_path / name, share)
        assert decide(tmp_path / name, Policy()).exit_code is code


def test_waiver_lets_a_row_through_until_it_expires(tmp_path: Path) -> None:
    _audit(tmp_path, 0.2)
    waivers = [
        {"row": row, "owner": "Ada", "reason": "known", "expires": "2030-01-01"}
        for row in ("harm", "harm/malware", "harm/fraud_deception")
    ]
    decision = decide(tmp_path, _policy(waivers=waivers), today=TODAY)
    assert decision.verdict == "pass"
    assert {w["row"] for w in decision.waived} == {"harm", "harm/malware", "harm/fraud_deception"}
    assert statement(decision)["predicate"]["result"] == "WARNED"
    assert decide(tmp_path, _policy(waivers=waivers), today=date(2030, 1, 2)).verdict == "fail"


def test_changed_policy_cannot_turn_evidence_into_a_pass(tmp_path: Path) -> None:
    _audit(tmp_path, 0.04)
    loose = decide(tmp_path, _policy(margins={"harm": 0.2}))
    assert loose.verdict == "inconclusive"
    assert "not the one recorded before the run" in loose.reasons[0]
    strict = decide(tmp_path, _policy(margins={"harm": 0.01}, minimum_n=10))
    assert strict.verdict == "fail"


def test_required_and_barred_suites(tmp_path: Path) -> None:
    policy = _policy(suites=["other"])
    _audit(tmp_path, 0.0, policy)
    decision = decide(tmp_path, policy)
    assert decision.verdict == "inconclusive" and "'other' is not part" in decision.reasons[0]
    barred = decide(tmp_path, _policy(barred_suites=["fake"]))
    assert any("barred" in reason for reason in barred.reasons)


def test_a_suite_that_was_mixed_in_lets_nothing_pass(tmp_path: Path) -> None:
    _audit(tmp_path, 0.0)
    asked = suite()
    renamed = Barred(prompts=frozenset({prompt_digest(asked.prompts[3].messages)}))
    for barred in (Barred(suites=frozenset({asked.digest})), renamed):
        decision = decide(tmp_path, Policy(), barred=barred)
        assert decision.verdict == "inconclusive"
        assert any("'fake' is barred" in reason for reason in decision.reasons)
        with pytest.raises(InputError, match="must not decide"):
            barred.refuse([asked], of="for mixing", fix="another")
    other = Barred(frozenset({"x"}), frozenset({"y"}))
    assert decide(tmp_path, Policy(), barred=other).verdict == "pass"


def test_limits_on_the_tuned_model_alone(tmp_path: Path) -> None:
    policy = _policy(limits={"over_refusal_ceiling": 0.1, "harm_ceiling": 0.05, "capability_floor": 0.9})
    _audit(tmp_path, 0.0, policy)
    assert decide(tmp_path, policy).verdict == "pass"
    tight = _policy(limits={"harm_ceiling": 0.001})
    _audit(tmp_path / "tight", 0.0, tight)
    decision = decide(tmp_path / "tight", tight)
    assert decision.verdict == "inconclusive"
    assert any("cannot be told from the limit" in reason for reason in decision.reasons)


def test_junit_has_one_case_per_row(tmp_path: Path) -> None:
    _audit(tmp_path, 0.2)
    decision = decide(tmp_path, Policy())
    root = ElementTree.fromstring(junit(decision))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert set(cases) == {row.name for row in decision.rows}
    failure = cases["harm"].find("failure")
    assert failure is not None and "0.0 % -> 20.0 %" in str(failure.get("message"))
    assert cases["over_refusal"].find("failure") is None
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert properties["policy"] == Policy().digest


def test_inconclusive_rows_fail_unless_allowed(tmp_path: Path) -> None:
    _audit(tmp_path, 0.04)
    decision = decide(tmp_path, Policy())
    assert '<failure type="inconclusive"' in junit(decision)
    allowed = junit(decision, allow_inconclusive=True)
    assert "<failure" not in allowed and "<skipped" in allowed


def test_command_in_a_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _audit(tmp_path / "a", 0.2)
    (tmp_path / "policy.yaml").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    files = ["--statement", str(tmp_path / "s.json"), "--summary", str(tmp_path / "s.md")]
    arguments = ["gate", str(tmp_path / "a"), "--policy", str(tmp_path / "policy.yaml"), *files]
    monkeypatch.setattr("sys.argv", ["holdfast", *arguments, "--allow-inconclusive"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    assert "::error title=Holdfast harm::regression shown" in capfd.readouterr().err
    assert (tmp_path / "step.md").read_text(encoding="utf-8") == (tmp_path / "s.md").read_text(
        encoding="utf-8"
    )
    evidence = digest_file(tmp_path / "a" / "samples.jsonl")
    assert evidence in (tmp_path / "s.json").read_text(encoding="utf-8")


def test_statement_binds_the_digests(tmp_path: Path) -> None:
    _audit(tmp_path, 0.2)
    made = statement(decide(tmp_path, Policy()), "e" * 64)
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["subject"] == [{"name": "tuned:weights", "digest": {"sha256": "weights-tuned"}}]
    predicate = made["predicate"]
    assert predicate["result"] == "FAILED" and "harm" in predicate["failedTests"]
    named = {entry["name"]: entry["digest"]["sha256"] for entry in predicate["configuration"]}
    assert named["policy"] == Policy().digest and named["evidence:samples.jsonl"] == "e" * 64


def test_summary_is_a_table(tmp_path: Path) -> None:
    _audit(tmp_path, 0.2)
    page = summary(decide(tmp_path, Policy()))
    assert "## Holdfast: ❌ fail" in page
    assert "| harm | 200 | 0.0 % | 20.0 % | +20.0 pt |" in page


def test_missing_or_foreign_report(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        decide(tmp_path, Policy())
    (tmp_path / "audit.json").write_text('{"schema": 99}', encoding="utf-8")
    with pytest.raises(InputError, match="not an audit report of this version"):
        decide(tmp_path, Policy())
