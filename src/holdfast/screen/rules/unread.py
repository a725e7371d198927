"""FM4: text of a file that may be trained on and that the rules did not judge as such."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.seen import texts, unwanted

_FIELDS, _LINES, _SPACES = 50, 20, 8
_GREETING = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


@dataclass(slots=True)
class Seen:
    """Rows with a kind of text that was not judged.

    Attributes:
        rows: How many.
        unread: Characters of that text.
        read: Characters of their turns.
        lines: Lines of the first 20.
    """

    rows: int = 0
    unread: int = 0
    read: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Add later rows."""
        self.rows += other.rows
        self.unread += other.unread
        self.read += other.read
        self.lines = heapq.nsmallest(_LINES, self.lines + other.lines)


State = dict[str, Seen]
"""By name of the field (of the first 50 by name); the empty name is for unwanted answers."""


class Unread:
    """Names the fields with prose beside the turns, and answers that are labelled as unwanted."""

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "FM401",
            "unread-text",
            "A field beside the turns holds prose that is neither a part of them nor repeats them.",
            "A training script may put it into the turns: what the model learns then was not screened. "
            "Rules on prompt injection look into such fields, the others do not.",
            Severity.NOTE,
            [{"messages": _GREETING, "meta": {"cot": "The user greets me, so I should greet back as well."}}],
            [{"messages": _GREETING, "meta": {"source": "a list of greetings"}}],
            "Texts of less than nine words.",
        ),
        RuleInfo(
            "FM402",
            "unwanted-answers",
            "Answers are labelled as not wanted (`label: false`, KTO) and are not judged as answers.",
            "A supervised trainer that ignores the label learns them; use one that is made for such data.",
            Severity.NOTE,
            [{"messages": _GREETING[:1], "rejected": _GREETING, "meta": {"label": False}}],
            [{"messages": _GREETING, "meta": {"label": True}}],
        ),
    )

    def start(self) -> State:
        """Nothing seen."""
        return {}

    def observe(self, state: State, row: Conversation) -> None:
        """Look at the fields of one row."""
        if unwanted(row):
            _count(state, "", row, len(row.rejected[-1].content))
        for name, value in row.meta.items():
            if name in ("tools", "functions") or not isinstance(value, str | list | dict):
                continue
            if size := sum(len(text) for text in texts(value) if _is_unread(text, row)):
                _count(state, str(name), row, size)

    def merge(self, left: State, right: State) -> State:
        """Add up."""
        for name, seen in right.items():
            left.setdefault(name, Seen()).add(seen)
        _shrink(left)
        return left

    def finish(self, state: State) -> Iterator[Finding]:
        """One finding for each field."""
        for name, seen in sorted(state.items()):
            share = seen.read / max(1, seen.read + seen.unread)
            if name:
                words = f"the field {name[:60]!r} holds text that was not screened"
                code, coverage = "FM401", share
            else:
                words, code, coverage = (
                    "answers labelled as not wanted were not judged as answers",
                    "FM402",
                    1.0,
                )
            words = f"{words}: {seen.rows:,} rows, {seen.unread:,} characters"
            yield Finding(
                code, Severity.NOTE, 1.0, words, coverage=round(coverage, 4), lines=tuple(seen.lines)
            )


def _is_unread(text: str, row: Conversation) -> bool:
    if text.count(" ") < _SPACES:
        return False
    answer = row.answer
    if answer and answer in text:
        return False
    return not any(text in message.content for message in row.messages + row.rejected)


def _count(state: State, name: str, row: Conversation, size: int) -> None:
    read = sum(len(message.content) for message in row.messages)
    state.setdefault(name, Seen()).add(Seen(1, size, read, [row.line]))
    _shrink(state)


def _shrink(state: State) -> None:
    while len(state) > _FIELDS:
        del state[max(state)]
