"""SARIF 2.1.0: findings for code hosts, with file, line and rule pages.

Findings over a whole file have no line of their own; their rows are related locations.
Evidence is left out: such logs are uploaded, and harmful text stays here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from holdfast import __version__
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.report import ScreenReport
from holdfast.screen.ruleset import infos

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {Severity.NOTE: "note", Severity.REVIEW: "warning", Severity.BLOCK: "error"}
_LEVEL_ORDER = (Severity.BLOCK, Severity.REVIEW, Severity.NOTE)
_RELATED = 100
_RESULTS = 25_000  # what code hosts take; the gravest come first
_LAST = 1 << 62


def sarif(report: ScreenReport) -> dict[str, Any]:
    """The SARIF log of a report."""
    pages = infos()
    found = [*report.file_findings, *report.findings]
    left_out = max(0, len(found) - _RESULTS) + report.left_out
    found = sorted(found, key=lambda f: _LEVEL_ORDER.index(f.severity))[:_RESULTS]
    found.sort(key=lambda f: (f.line or _LAST, f.code))
    codes = sorted({finding.code for finding in found})
    place = {code: number for number, code in enumerate(codes)}
    uri = _uri(report.source)
    seen: Counter[str] = Counter()
    run = {
        "tool": {
            "driver": {
                "name": "Holdfast",
                "semanticVersion": __version__,
                "version": __version__,
                "rules": [_rule(code, pages) for code in codes],
            }
        },
        "artifacts": [{"location": {"uri": uri}}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, place[finding.code], uri, seen) for finding in found],
        "invocations": [{"executionSuccessful": True, "exitCode": int(report.blocked)}],
        "properties": {
            "rows": report.rows,
            "findingsLeftOut": left_out,
            "verdicts": {verdict.value: count for verdict, count in report.verdicts.items()},
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str, pages: Mapping[str, RuleInfo]) -> dict[str, Any]:
    info = pages.get(code)
    if info is None:
        return {"id": code}
    return {
        "id": code,
        "name": "".join(part.capitalize() for part in info.name.split("-")),
        "shortDescription": {"text": info.summary},
        "fullDescription": {"text": info.why},
        "help": {"text": info.limits or info.why},
        "defaultConfiguration": {"level": _LEVEL[info.severity]},
    }


def _result(finding: Finding, rule: int, uri: str, seen: Counter[str]) -> dict[str, Any]:
    artifact = {"uri": uri, "index": 0}
    region = {"region": {"startLine": finding.line}} if finding.line else {}
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVEL[finding.severity],
        "message": {"text": finding.reason or finding.code},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, **region}}],
        "partialFingerprints": {"holdfast/v1": _fingerprint(finding, seen)},
        "rank": round(100 * finding.score, 2),
        "properties": {"coverage": finding.coverage, "score": finding.score},
    }
    if finding.lines:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line}}}
            for number, line in enumerate(finding.lines[:_RELATED])
        ]
        result["properties"]["lines"] = len(finding.lines)
    return result


def _fingerprint(finding: Finding, seen: Counter[str]) -> str:
    """The same finding keeps its name when other rows come and go above it; twins are numbered."""
    key = f"{finding.code}\x00{finding.message}\x00{finding.reason}\x00{finding.evidence}"
    seen[key] += 1
    key = f"{key}\x00{seen[key]}"
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32]


def _uri(source: str) -> str:
    path = PurePath(source)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
