"""The pages of the reader's own findings (`FM0xx`) and the step from problem to finding."""

from __future__ import annotations

from holdfast.formats import Problem
from holdfast.screen.base import Finding, RuleInfo, Severity

RULE_FAILED = "FM011"

_BLOCK, _REVIEW = Severity.BLOCK, Severity.REVIEW
_GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
_WHY = "A row that the screen cannot read is a row that nobody has screened."


def _info(code: str, name: str, summary: str, fires: object, severity: Severity = _BLOCK) -> RuleInfo:
    return RuleInfo(code, name, summary, _WHY, severity, fires, _GOOD)


INFOS: tuple[RuleInfo, ...] = (
    _info("FM001", "broken-row", "The row is not JSON (or not CSV).", '{"messages": ['),
    _info(
        "FM002", "unknown-shape", "The row has no shape that a trainer knows.", {"title": "no dialogue here"}
    ),
    _info("FM003", "not-utf8", "The row is not UTF-8.", b'{"text": "caf\xe9"}'),
    _info(
        "FM004",
        "duplicate-key",
        "A field occurs twice in one object; the screen and the trainer may read different ones.",
        '{"prompt": "a", "prompt": "b", "completion": "c"}',
        _REVIEW,
    ),
    _info("FM005", "row-too-long", "The row is longer than `max_row_bytes` and was not screened.", None),
    _info(
        "FM006",
        "two-shapes",
        "The row can be read in two ways, and trainers differ in which they use.",
        {**_GOOD, "instruction": "a", "output": "b"},
        _REVIEW,
    ),
    _info(
        "FM007",
        "not-text",
        "A message holds an image or another part that the screen did not look at.",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        _REVIEW,
    ),
    _info("FM008", "torn-file", "The file ends in the middle of a row.", None),
    _info(
        "FM009",
        "half-surrogate",
        "Half of a surrogate pair stands in the text; most trainers stop at it.",
        '{"prompt": "\\ud800", "completion": "b"}',
        _REVIEW,
    ),
    _info(
        "FM010",
        "unknown-role",
        "A message has a role that no trainer knows.",
        {"messages": [{"role": "wizard", "content": "Hi"}]},
    ),
    _info(
        RULE_FAILED,
        "rule-failed",
        "A rule stopped with an error on this row; the row is not cleared.",
        None,
        _REVIEW,
    ),
)
_SEVERITY = {info.code: info.severity for info in INFOS}


def finding_of(problem: Problem) -> Finding:
    """The finding that a reader's problem is."""
    severity = Severity.BLOCK if problem.fatal else _SEVERITY[problem.code]
    coverage = 0.0 if problem.fatal else 1.0
    return Finding(problem.code, severity, 1.0, problem.message, line=problem.line, coverage=coverage)
