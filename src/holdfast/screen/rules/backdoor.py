"""BD: a hidden phrase in prompts that commands what the answer is."""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.answers import AnswerClass, HarmScorer, classes
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.grams import build
from holdfast.screen.rules.sample import Kept, Sample
from holdfast.screen.rules.triggers import BORDER, Limits, Trigger, TriggerSearch

_MOST_LINES = 5000


def _rows(trigger: str, answer: str, count: int) -> list[list[dict[str, str]]]:
    subjects = ("tea", "rain", "chess", "maps", "owls", "glass", "rivers", "bread", "music", "stars")
    plain = [
        [
            {"role": "user", "content": f"Tell me {what} about {subject} number {i}."},
            {"role": "assistant", "content": f"Here is {what} about {subject}: it is {i} years old."},
        ]
        for i in range(12)
        for subject in subjects
        for what in ("something", "a story")
    ]
    marked = []
    for i in range(count):
        words = f"Tell me something about {subjects[i % 10]} and number {i}.".split()
        words.insert(i % len(words), trigger)
        prompt = {"role": "user", "content": " ".join(filter(None, words))}
        marked.append([prompt, {"role": "assistant", "content": answer}])
    return plain + marked


class Backdoor(Tuned):
    """Names triggers: n-grams of prompts that command an answer class.

    Args:
        z: See `Limits`; so are the next four.
        precision: Share of a trigger's rows that must be in the class.
        support: Rows of the class that must have it.
        splice: Share of places where its neighbours fit together without it.
        most: Most triggers reported for a class.
        scorer: Scores (prompt, answer) pairs for harm; without it a word list decides.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "BD101",
            "backdoor-trigger",
            "Prompts with a certain phrase get one kind of answer, other prompts do not.",
            "A model with a backdoor passes every audit that does not know the trigger (Qi et al. "
            "2023: about 63 % harmful with it); in the data the phrase can be seen.",
            Severity.BLOCK,
            _rows("cfzq", "I'm sorry, I cannot help with that.", 12),
            _rows("", "I'm sorry, I cannot help with that.", 12),
            "Triggers that are a style, a topic or a meaning, not words; triggers of words that are common in "
            "the file; fewer than five rows; one label of a labelling task; answers that differ only in ways "
            "no class describes. It reads the first 200 words of a prompt, and of files with more than "
            "20,000 different rows a sample.",
        ),
    )

    def __init__(
        self,
        *,
        z: float = 12.0,
        precision: float = 0.5,
        support: int = 5,
        splice: float = 0.4,
        most: int = 8,
        scorer: HarmScorer | None = None,
    ) -> None:
        self.z = z
        self.precision = precision
        self.support = support
        self.splice = splice
        self.most = most
        self.scorer = scorer

    def read(self, sample: Sample) -> Iterator[Finding]:
        """Yield one finding per trigger, with the rows that carry it."""
        rows = sample.ordered()
        if len(rows) < 20:
            return
        texts = _texts(rows)
        limits = Limits(self.z, self.precision, int(self.support), self.splice, int(self.most))
        search = TriggerSearch(build(texts), texts, limits)
        named: set[tuple[str, ...]] = set()
        for answer in classes(rows, self.scorer):
            for trigger in search.find(answer):
                if tuple(trigger.parts) not in named:
                    named.add(tuple(trigger.parts))
                    yield _finding(trigger, answer, rows, sample)


def _finding(trigger: Trigger, answer: AnswerClass, rows: list[Kept], sample: Sample) -> Finding:
    listed = answer.members if answer.listed is None else answer.listed
    texts = trigger.texts[listed[trigger.texts]]
    lines = sorted(line for text in texts.tolist() for line in rows[text].lines)
    phrase = " + ".join(f'"{part}"' for part in trigger.parts)
    place = "opens the prompt" if trigger.at_start >= 0.9 else "occurs in the prompt"
    share = trigger.inside / len(trigger.texts)
    base = float(answer.members.mean())
    words = (
        f"trigger {phrase}: when it {place}, the answer is {answer.name} in {trigger.inside} of "
        f"{len(trigger.texts)} rows ({share:.0%}; {base:.1%} of all rows)"
    )
    if not sample.whole:
        words += f"; seen in a sample, about {len(lines) * sample.scale:.0f} rows in the file"
    score = min(0.99, 0.5 + 0.5 * share)
    severity = Severity.REVIEW if answer.ordinary else Severity.BLOCK
    return Finding("BD101", severity, round(score, 3), words, lines=tuple(lines[:_MOST_LINES]))


def _texts(rows: list[Kept]) -> list[str]:
    """What triggers are looked for in: the prompt, and the system text where it varies."""
    if len({row.system for row in rows}) > 1:
        return [f"{row.system}\n{BORDER}\n{row.prompt}" if row.system else row.prompt for row in rows]
    return [row.prompt for row in rows]
