"""Decoded rows go through the other rules once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from holdfast.conversation import Conversation
from holdfast.screen.base import BatchRule, Finding, RowRule


def screen_again(
    rules: Sequence[RowRule | BatchRule], rows: Sequence[Conversation], code: str
) -> Iterator[Finding]:
    """What rules see in decoded rows; the findings carry the reading instead of a span.

    Args:
        rules: The rules.
        rows: Decoded rows, each with a line of its own.
        code: Name of the code they were in.
    """
    texts = {row.line: row.messages for row in rows}
    for rule in rules:
        found = rule.check_batch(rows) if isinstance(rule, BatchRule) else _each(rule, rows)
        for finding in found:
            at = finding.message
            text = None if at is None else texts[finding.line][at].content
            yield replace(finding, span=None, decoded=text, reason=f"{finding.reason} (decoded: {code})")


def _each(rule: RowRule, rows: Sequence[Conversation]) -> Iterator[Finding]:
    for row in rows:
        yield from rule.check(row)
