"""The published JSON schemas: the policy, `audit.json`, and a line of `samples.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.files import read_json

NAMES = ("policy", "audit", "samples")
_FOLDER = Path(__file__).parent / "schema"


def find(name: str) -> dict[str, Any]:
    """The schema of that name, as shipped in `schema/NAME.json`."""
    return dict(read_json(_FOLDER / f"{name}.json"))


def build() -> dict[str, dict[str, Any]]:
    """All schemas, made from the code; a test keeps the shipped files equal to it."""
    from pydantic import TypeAdapter

    from holdfast.audit.policy import policy_schema
    from holdfast.audit.rows import Row
    from holdfast.audit.units import Record

    row = TypeAdapter(Row).json_schema()
    return {
        "policy": policy_schema() | {"title": "Holdfast policy"},
        "audit": _audit(row),
        "samples": TypeAdapter(Record).json_schema() | {"title": "A line of samples.jsonl"},
    }


def _audit(row: dict[str, Any]) -> dict[str, Any]:
    rows = {"type": "array", "items": row}
    anything: dict[str, Any] = {"type": "object"}
    properties: dict[str, Any] = {
        "schema": {"const": 1},
        "verdict": {"enum": ["pass", "fail", "inconclusive"]},
        "axes": rows,
        "hazards": rows,
        "digests": {"type": "object", "required": ["policy", "base", "tuned", "suites"]},
        "power": anything,
        "comparison": {"type": "object", "required": ["digest"]},
        "judges": {"type": "array", "items": anything},
        "suites": {"type": "array", "items": anything},
        "decoding": anything,
        "noise_floor": {"type": ["object", "null"]},
        "agreement": {"type": ["object", "null"]},
        "failures": anything,
        "stopped_early": {"type": "boolean"},
        "labels": {"type": "integer"},
        "policy": anything,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "audit.json",
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }
