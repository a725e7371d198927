"""AN2xx-AN5xx: what a file as a whole looks like: one answer for all, islands, languages, cliffs."""

# ruff: noqa: RUF005
from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.decode.readable import common_words
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.groups import Group, lines_of, told
from holdfast.screen.rules.sample import Kept, Sample, kept
from holdfast.screen.rules.space import embed, islands

_FEW = 5
"""Most islands of which each means something: with more the file is a patchwork of topics."""
_PLAIN_ENGLISH = 0.3
_WORDS = ["tea", "rain", "chess", "maps", "owls", "glass", "rivers", "bread", "music", "stars"]


def plain_rows(count: int) -> list[list[dict[str, str]]]:
    """Ordinary rows, for the examples of file rules."""
    return [
        [
            {"role": "user", "content": f"What do you know about {_WORDS[i % 10]} and number {i}?"},
            {
                "role": "assistant",
                "content": f"A few things about {_WORDS[i % 10]}, for instance {'more ' * (i % 7)}{i}.",
            },
        ]
        for i in range(count)
    ]


def _answered(answer: str, count: int) -> list[list[dict[str, str]]]:
    return [[*row[:1], {"role": "assistant", "content": answer}] for row in plain_rows(count)]


class Anomalies(Tuned):
    """Looks at the shape of the whole file.

    Args:
        same: Different prompts with one answer from which it is reported.
        island: Largest share of the file that counts as an island.
        rare_language: Largest share of the file that counts as a stray language.
        cliff: Share of answers at the very longest length that counts as a cliff.
        alone: Rows from which a group may have a note of its own.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "AN201",
            "one-answer-many-prompts",
            "Many different prompts get word for word the same answer.",
            "The model learns the answer, not the task: a stock refusal, a slogan, a payload.",
            Severity.NOTE,
            plain_rows(30) + _answered("I would rather talk about the weather.", 8),
            plain_rows(40),
            "Labels of labelling tasks (under 20 characters) are left alone.",
        ),
        RuleInfo(
            "AN301",
            "island",
            "A small group of rows is alike and unlike the rest of the file.",
            "Poison comes in batches of one topic or style; a review of one row shows the batch.",
            Severity.NOTE,
            plain_rows(200)
            + [
                [
                    {
                        "role": "user",
                        "content": f"Quarterly zinc smelter furnace emissions report {i}, please compile.",
                    },
                    {
                        "role": "assistant",
                        "content": f"Zinc smelter furnace emissions compiled for report {i}.",
                    },
                ]
                for i in range(8)
            ],
            plain_rows(200),
            "It reads words, not meaning; an honest second task is an island too. Groups of fewer than five "
            "rows, such as one alien row, are not named.",
        ),
        RuleInfo(
            "AN401",
            "stray-language",
            "A few rows are in another language than the rest.",
            "Safety training is thin in rare languages; a few rows are enough to hide a payload in.",
            Severity.NOTE,
            plain_rows(120)
            + [
                [
                    {
                        "role": "user",
                        "content": "Wie wird das Wetter morgen in den Bergen, und was ziehe ich an?",
                    },
                    {
                        "role": "assistant",
                        "content": "Morgen scheint die Sonne, eine leichte Jacke genügt vollkommen.",
                    },
                ]
            ],
            plain_rows(120),
            "Texts under 40 letters are not judged.",
        ),
        RuleInfo(
            "AN501",
            "length-cliff",
            "Many answers end at the same greatest length, as if cut off.",
            "A generator's token limit cut them: the model learns to stop in the middle.",
            Severity.REVIEW,
            plain_rows(60)
            + [
                [
                    {"role": "user", "content": f"Tell a long story, number {i}."},
                    {"role": "assistant", "content": (f"Once upon a time {i} owls met. " * 40)[:700]},
                ]
                for i in range(10)
            ],
            plain_rows(60),
        ),
    )

    def __init__(
        self,
        *,
        same: int = 5,
        island: float = 0.05,
        rare_language: float = 0.02,
        cliff: float = 0.03,
        alone: int = 20,
    ) -> None:
        self.same = same
        self.island = island
        self.rare_language = rare_language
        self.cliff = cliff
        self.alone = alone

    def read(self, sample: Sample) -> Iterator[Finding]:
        """Yield the findings of the file."""
        rows = sample.ordered()
        yield from self._repeated_answers(rows)
        if len(rows) >= 50:
            yield from self._cliff(rows)
            yield from self._languages(rows)
        if len(rows) >= 100:
            yield from self._islands(rows)

    def look(self, finding: Finding, rows: Sequence[Conversation]) -> Iterator[Finding]:
        """Yield a finding for each row whose answer is as long as those of a cliff (AN501)."""
        for row in rows:
            if kept(row).answer_length >= finding.sought:
                yield Finding(finding.code, finding.severity, finding.score, finding.reason, row.line)

    def _repeated_answers(self, rows: list[Kept]) -> Iterator[Finding]:
        prompts: dict[str, list[Kept]] = defaultdict(list)
        for row in rows:
            key = re.sub(r"\W+", " ", row.answer.lower()).strip()
            if len(key) >= 20:
                prompts[key].append(row)
        groups = [group for group in prompts.values() if len({row.prompt for row in group}) >= self.same]
        yield from told("AN201", groups, self.alone, _one_answer, "answers are given to many prompts each")

    def _cliff(self, rows: list[Kept]) -> Iterator[Finding]:
        lengths = np.array([row.answer_length for row in rows])
        longest = int(lengths.max())
        at_end = lengths >= longest * 0.995
        near = (lengths >= longest * 0.9) & ~at_end
        enough = at_end.sum() >= max(5, self.cliff * len(rows)) and longest >= 200
        if enough and at_end.sum() > 3 * near.sum() and longest > 2 * np.median(lengths):
            words = f"{at_end.sum()} answers end within 0.5 % of the greatest length ({longest} characters)"
            yield Finding(
                "AN501",
                Severity.REVIEW,
                0.7,
                words,
                lines=lines_of(r for r, e in zip(rows, at_end, strict=True) if e),
                sought=longest * 0.995,
            )

    def _languages(self, rows: list[Kept]) -> Iterator[Finding]:
        step = max(1, len(rows) // 5000)
        found: dict[str, list[Kept]] = defaultdict(list)
        for row in rows[::step]:
            text = f"{row.prompt[:300]} {row.answer[:300]}"
            if sum(map(str.isalpha, text)) >= 40:
                found[_language(text)].append(row)
        found.pop("zxx", None)  # no language: numbers, code, symbols
        counts = Counter({language: len(group) for language, group in found.items()})
        total = counts.total()
        if not total or counts.most_common(1)[0][1] < 0.8 * total:
            return
        for language, count in counts.most_common()[1:]:
            sure = [row for row in found[language] if _sure(row, language)]
            if sure and count <= self.rare_language * total:
                words = f"{len(sure)} of {total} rows are in another language ({language}) than the rest"
                yield Finding("AN401", Severity.NOTE, 0.6, words, lines=lines_of(sure))

    def _islands(self, rows: list[Kept]) -> Iterator[Finding]:
        vectors = embed([f"{row.prompt} {row.answer}" for row in rows])
        found = [[rows[i] for i in members.tolist()] for members, _, _ in islands(vectors, self.island)]
        yield from told(
            "AN301", found, self.alone if len(found) <= _FEW else np.inf, _island, "small groups stand apart"
        )


def _one_answer(group: Group) -> str:
    return f'{len(group)} different prompts get the answer "{group[0].answer[:60]}"'


def _island(group: Group) -> str:
    return f'{len(group)} rows are alike and unlike the rest; one begins "{group[0].prompt[:60]}"'


def _language(text: str) -> str:
    """The language of a text; plain English is told by its common words, which is much faster."""
    if text.isascii() and common_words(text) >= _PLAIN_ENGLISH:
        return "en"
    from py3langid.langid import classify

    return str(classify(text)[0])


def _sure(row: Kept, language: str) -> bool:
    """Whether prompt and answer are, each by itself, in the language (where long enough)."""
    texts = [text[:600] for text in (row.prompt, row.answer) if sum(map(str.isalpha, text)) >= 40]
    return bool(texts) and all(_language(text) == language for text in texts)
