"""An in-toto statement that binds the decision to the digests of weights, policy and evidence.

Predicate: https://in-toto.io/attestation/test-result/v0.1 on Statement v1.
"""

from __future__ import annotations

from typing import Any

from holdfast.gate.decide import Decision

_RESULT = {"pass": "PASSED", "fail": "FAILED", "inconclusive": "FAILED"}


def statement(decision: Decision, evidence_digest: str = "") -> dict[str, Any]:
    """The statement as JSON data, unsigned.

    Args:
        decision: What to attest.
        evidence_digest: SHA-256 of `samples.jsonl`.
    """
    digests = decision.digests
    failed = [row.name for row in decision.rows if row.verdict != "pass"]
    configuration = [{"name": "policy", "digest": {"sha256": digests["policy"]}}]
    configuration += [
        {"name": f"suite:{name}", "digest": {"sha256": suite["digest"]}}
        for name, suite in digests["suites"].items()
    ]
    configuration += _model("base", digests["base"])
    if evidence_digest:
        configuration.append({"name": "evidence:samples.jsonl", "digest": {"sha256": evidence_digest}})
    result = "WARNED" if decision.verdict == "pass" and decision.waived else _RESULT[decision.verdict]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": _model("tuned", digests["tuned"]),
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": result,
            "configuration": configuration,
            "passedTests": [row.name for row in decision.rows if row.verdict == "pass"],
            "warnedTests": [waiver["row"] for waiver in decision.waived],
            "failedTests": failed,
        },
    }


def _model(name: str, identity: dict[str, str]) -> list[dict[str, Any]]:
    parts = {"weights": identity["weights"], "adapter": identity["adapter"]}
    return [{"name": f"{name}:{part}", "digest": {"sha256": value}} for part, value in parts.items() if value]
