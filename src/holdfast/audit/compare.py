"""Compare the tuned models of two audits: refused unless everything else was the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.audit.evidence import read_records, read_run
from holdfast.audit.measure import measured
from holdfast.audit.policy import Policy
from holdfast.audit.rows import Row
from holdfast.audit.slices import Evidence
from holdfast.errors import InputError


def compare(first: Path, second: Path) -> list[Row]:
    """How the tuned model of `second` differs from that of `first`, paired, on the same prompts.

    Rows carry the margins of the first audit's policy.

    Raises:
        InputError: The audits differ in template, decoding, engine, suites, prompts or judges.
    """
    runs = [read_run(folder) for folder in (first, second)]
    different = [name for name in _key(runs[0]) if _key(runs[0])[name] != _key(runs[1])[name]]
    if different:
        raise InputError(
            f"cannot be compared with {first}: different {', '.join(different)}",
            path=second,
            fix="repeat one of the audits with the settings of the other",
        )
    records = [replace(record, arm="base") for record in read_records(first) if record.arm == "tuned"]
    records += [record for record in read_records(second) if record.arm == "tuned"]
    axes, hazards = measured(Evidence(records, records), Policy.model_validate(runs[0]["policy"]))
    return [*axes, *hazards]


def _key(run: Mapping[str, Any]) -> dict[str, Any]:
    comparison = run["comparison"]
    return {
        "template": comparison["template"][1],
        "engine": comparison["engine"][1],
        "decoding": comparison["decoding"],
        "suites": comparison["suites"],
        "prompts": comparison["prompts"],
        "judges": run["judges"],
    }
