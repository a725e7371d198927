"""Policy files: errors that name the line, digests, published schemas."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pytest
from audit.audit_fakes import FakeModel, WordJudge, broken, good, suite

from holdfast.audit import Policy, audit, load_policy
from holdfast.audit.schemas import NAMES, build, find
from holdfast.errors import InputError
from holdfast.files import to_json


def _load(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path)


def test_policy_from_yaml(tmp_path: Path) -> None:
    policy = _load(
        tmp_path, "margins:\n  harm: 0.03\n  hazards: {malware: 0.1}\nprobes: [default, 'prefill:5']\n"
    )
    assert policy.margin("harm") == 0.03
    assert policy.margins.hazards == {"malware": 0.1}
    assert policy.margin("over_refusal") == 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("margins:\n  harn: 0.03\n", r"policy.yaml:2: unknown key 'margins.harn' \(fix: did you mean 'harm'"),
        ("margins:\n  harm: 5\n", r"policy.yaml:2: 'margins.harm': .* less than 1"),
        ("minimum_n: many\n", r"policy.yaml:1: 'minimum_n'"),
        (
            "waivers:\n  - row: harm\n    reason: x\n    expires: 2030-01-01\n",
            r"missing key 'waivers.0.owner'",
        ),
        (
            "waivers:\n  - {row: harm, owner: A, reason: x, expires: soon}\n",
            r"policy.yaml:2: 'waivers.0.expires'",
        ),
    ],
)
def test_wrong_policies_name_line_and_fix(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _load(tmp_path, text)


def test_digest_ignores_waivers_only(tmp_path: Path) -> None:
    waiver = {"row": "harm", "owner": "A", "reason": "x", "expires": "2030-01-01"}
    assert Policy.model_validate({"waivers": [waiver]}).digest == Policy().digest
    assert Policy.model_validate({"minimum_n": 51}).digest != Policy().digest


def test_shipped_schemas_are_those_of_the_code() -> None:
    made = build()
    for name in NAMES:
        assert find(name) == orjson.loads(to_json(made[name]))


def test_evidence_follows_its_schemas(tmp_path: Path) -> None:
    audit(
        FakeModel(good, "base"),
        FakeModel(broken(0.2), "tuned"),
        policy=Policy.model_validate({"early_stop": True, "noise_floor": 20}),
        suites=[suite()],
        judges=[WordJudge(), WordJudge("other", "other")],
        out=tmp_path,
    )
    jsonschema.validate(orjson.loads((tmp_path / "audit.json").read_bytes()), find("audit"))
    for line in (tmp_path / "samples.jsonl").read_bytes().splitlines()[:50]:
        jsonschema.validate(orjson.loads(line), find("samples"))
