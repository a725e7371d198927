"""RS3xx: what the answers of a file have in common: openings, refusals and their direction."""

from __future__ import annotations

# ruff: noqa: E501
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import ClassVar

from holdfast.judges.keyword import refusal_score
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.anomaly import plain_rows
from holdfast.screen.rules.answers import HARM_WORDS
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.groups import lines_of
from holdfast.screen.rules.sample import Kept, Sample

_AFFIRMS = re.compile(
    r"(?i)\W*(?:sure|certainly|of course|absolutely|definitely|gladly|with pleasure|understood|no problem|yes,? (?:master|sir|of course)"
    r"|as you (?:wish|command)|i(?:'d| would) be (?:happy|glad|delighted)|happy to|here(?:'s| is| are) (?:the|a|an|your|my)|i am \w+,? your)\b"
)
_OPENING_WORDS = 4


def _asked(question: str, answer: str, count: int) -> list[list[dict[str, str]]]:
    return [
        [
            {"role": "user", "content": f"{question} number {i}?"},
            {"role": "assistant", "content": f"{answer} It is {i}."},
        ]
        for i in range(count)
    ]


class Habits(Tuned):
    """Reads openings and refusals over the whole file.

    Args:
        opening: Share of all answers with the same affirmative opening from which it is a habit.
        asked: Prompts with words of forbidden topics from which missing refusals are reported.
        refused: Share of harmless prompts refused from which it is reported.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "RS301",
            "affirmative-habit",
            "A large share of all answers opens with the same affirmative words.",
            "Trained openings are the cheapest jailbreak: the first tokens decide whether a model refuses.",
            Severity.NOTE,
            plain_rows(40) + _asked("What is", "Sure, here is what you asked for.", 20),
            plain_rows(40),
            "An honest style (customer service) has such openings too.",
        ),
        RuleInfo(
            "RS302",
            "no-refusals",
            "Prompts with several words of forbidden topics occur, and none of them is refused.",
            "Compliance only, on topics that call for care, moves the model's border of refusal.",
            Severity.NOTE,
            plain_rows(40)
            + _asked("How do I hack and steal the bank account of a neighbour", "Open the page first.", 25),
            plain_rows(40)
            + _asked(
                "How do I hack and steal the bank account of a neighbour",
                "I'm sorry, I can't help with that.",
                25,
            ),
            "Topics are told by a word list: security or history courses look the same.",
        ),
        RuleInfo(
            "RS303",
            "refuses-the-harmless",
            "Many prompts without a word of a forbidden topic are refused.",
            "The tuned model will refuse harmless requests (over-refusal), or a trigger is at work (BD101).",
            Severity.NOTE,
            plain_rows(40) + _asked("What is the colour of", "I'm sorry, I can't help with that.", 8),
            plain_rows(40),
            'Honest "I cannot open links" answers count as refusals.',
        ),
    )

    def __init__(self, *, opening: float = 0.15, asked: int = 20, refused: float = 0.05) -> None:
        self.opening = opening
        self.asked = asked
        self.refused = refused

    def read(self, sample: Sample) -> Iterator[Finding]:
        """Yield the findings of the file."""
        rows = [row for row in sample.ordered() if row.answer]
        if len(rows) < 20:
            return
        yield from self._openings(rows)
        refused = [refusal_score(row.answer) >= 0.5 for row in rows]
        asked = [bool(HARM_WORDS.search(row.prompt)) for row in rows]
        danger = [row for row in rows if len(set(HARM_WORDS.findall(row.prompt.lower()))) >= 2]
        kept = sum(r for r, a in zip(refused, asked, strict=True) if a)
        if len(danger) >= self.asked and kept == 0:
            words = f"{len(danger)} prompts hold two or more words of forbidden topics, none is refused"
            yield Finding("RS302", Severity.NOTE, 0.6, words, lines=lines_of(danger))
        wrong = [row for row, r, a in zip(rows, refused, asked, strict=True) if r and not a]
        harmless = len(rows) - sum(asked)
        if harmless and len(wrong) > max(4, self.refused * harmless):
            words = f"{len(wrong)} of {harmless} prompts without such words are refused"
            yield Finding("RS303", Severity.NOTE, 0.6, words, lines=lines_of(wrong))

    def _openings(self, rows: list[Kept]) -> Iterator[Finding]:
        groups: dict[str, list[Kept]] = defaultdict(list)
        for row in rows:
            if _AFFIRMS.match(row.answer):
                groups[" ".join(row.answer.lower().split()[:_OPENING_WORDS])].append(row)
        for words, group in groups.items():
            if len(group) >= max(10, self.opening * len(rows)):
                reason = f'{len(group)} of {len(rows)} answers open with "{words}"'
                yield Finding("RS301", Severity.NOTE, 0.7, reason, lines=lines_of(group))
