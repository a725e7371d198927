"""Every rule's own page: the example that fires does, the one that must not does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.conversation import Conversation, Message
from holdfast.screen.base import BatchRule, FileRule, Finding, Rule, RuleInfo
from holdfast.screen.rules import registry
from holdfast.screen.rules.overlap import SuiteOverlap
from holdfast.screen.rules.wholefile import WholeFile

OPTIONS = {"FM": {"context_tokens": 350}}
SWALLOW = "What is the airspeed of an unladen swallow in spring?"
RULES = [
    SuiteOverlap([(SWALLOW, "birds")]) if isinstance(rule, SuiteOverlap) else rule
    for rule in registry(OPTIONS)
]
PAGES = [
    (rule, info)
    for rule in RULES
    for info in rule.infos
    if info.fires is not None and not info.code.startswith("HC")
]


def conversation(example: Any, line: int = 1) -> Conversation:
    if isinstance(example, list):
        example = {"messages": example}
    turns, rejected = (
        tuple(Message(**turn) for turn in example.get(key, ())) for key in ("messages", "rejected")
    )
    return Conversation(turns, "example.jsonl", line, rejected=rejected, meta=example.get("meta", {}))


def findings(rule: Rule, example: Any) -> Iterator[Finding]:
    if isinstance(rule, FileRule):
        state = rule.start()
        for line, row in enumerate(example, 1):
            rule.observe(state, conversation(row, line))
        yield from rule.finish(state)
    elif isinstance(rule, BatchRule):
        yield from rule.check_batch([conversation(example)])
    else:
        yield from rule.check(conversation(example))


@pytest.mark.parametrize(("rule", "info"), PAGES, ids=[info.code for _, info in PAGES])
def test_example_fires_and_counterexample_does_not(rule: Rule, info: RuleInfo) -> None:
    if isinstance(rule, WholeFile):
        rule = WholeFile([a for a in rule.analyses if info in a.infos])
    fired = [f for f in findings(rule, info.fires) if f.code == info.code]
    assert fired, f"{info.code} does not fire on its own example"
    assert all(f.reason and 0 < f.score <= 1 for f in fired)
    assert not [f for f in findings(rule, info.passes) if f.code == info.code]


def test_codes_are_unique_and_well_formed() -> None:
    codes = [info.code for _, info in PAGES]
    assert len(codes) == len(set(codes))
    assert all(len(code) == 5 and code[:2].isupper() and code[2:].isdigit() for code in codes)
    assert all(info.summary and info.why for _, info in PAGES)
