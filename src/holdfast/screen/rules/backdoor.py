"""BD: a hidden phrase in prompts that commands what the answer is."""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.answers import AnswerClass, HarmScorer, classes
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.grams import TOKEN, build, first_tokens
from holdfast.screen.rules.sample import BORDER, Kept, Sample, kept, turns_before
from holdfast.screen.rules.triggers import Limits, Trigger, TriggerSearch

_MOST_TOKENS = 200


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
            "no class describes; answers before the last one of a conversation. A trigger must stand in the first "
            "200 words of the last request, of the requests before it or of the system text (where that varies), and "
            "in files with more than 20,000 different rows in a sample often enough to be named; the rows of a named "
            "trigger are then looked for in the whole file, wherever in the request it stands.",
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
        system = len({row.system for row in rows}) > 1
        texts = [_text(row, system) for row in rows]
        limits = Limits(self.z, self.precision, int(self.support), self.splice, int(self.most))
        search = TriggerSearch(build(texts), texts, limits)
        named: set[tuple[str, ...]] = set()
        for answer in classes(rows, self.scorer):
            for trigger in search.find(answer):
                if tuple(trigger.parts) not in named:
                    named.add(tuple(trigger.parts))
                    yield _finding(trigger, answer, rows, system, sample)

    def look(self, finding: Finding, rows: Sequence[Conversation]) -> Iterator[Finding]:
        """Yield a finding for each row that has the trigger and an answer of its class."""
        sought: Sought = finding.sought
        for row in rows:
            if sought.within(row) and sought.holds(kept(row)):
                yield Finding(finding.code, finding.severity, finding.score, finding.reason, row.line)


@dataclass(frozen=True, slots=True)
class Sought:
    """A named trigger, as it is looked for in any row.

    Attributes:
        tokens: Its tokens.
        system: Whether it is looked for in system turns too.
        holds: Whether the answer is one that the trigger commands.
    """

    tokens: tuple[str, ...]
    system: bool
    holds: Callable[[Kept], bool]

    def within(self, row: Conversation) -> bool:
        """Whether the trigger stands in a turn before the last answer."""
        system, asked = turns_before(row)
        longest = max(self.tokens, key=len)
        turns = [*asked, *system] if self.system else asked
        return any(longest in turn and self._in(TOKEN.findall(turn)) for turn in turns)

    def _in(self, words: Sequence[str]) -> bool:
        size, first = len(self.tokens), self.tokens[0]
        starts: Iterable[int] = (at for at, word in enumerate(words) if word == first)
        return any(tuple(words[at : at + size]) == self.tokens for at in starts)


def _finding(
    trigger: Trigger, answer: AnswerClass, rows: list[Kept], system: bool, sample: Sample
) -> Finding:
    texts = [rows[text] for text in trigger.texts.tolist()]
    lines = sorted(line for row in texts if answer.holds(row) for line in row.lines)
    phrase = " + ".join(f'"{part}"' for part in trigger.parts)
    place = "opens the prompt" if trigger.at_start >= 0.9 else "occurs in the prompt"
    share = trigger.inside / len(texts)
    base = float(answer.members.mean())
    words = (
        f"trigger {phrase}: when it {place}, the answer is {answer.name} in {trigger.inside} of "
        f"{len(texts)} rows ({share:.0%}; {base:.1%} of all rows)"
    )
    if not sample.whole:
        words += "; seen in a sample"
    score = min(0.99, 0.5 + 0.5 * share)
    severity = Severity.REVIEW if answer.ordinary else Severity.BLOCK
    sought = Sought(tuple(TOKEN.findall(trigger.parts[0])), system, answer.holds)
    return Finding("BD101", severity, round(score, 3), words, lines=tuple(lines), sought=sought)


def _text(row: Kept, system: bool) -> str:
    """What triggers are looked for in: the prompt, the turns before it, the system text where it varies."""
    parts = (row.prompt, row.earlier, row.system if system else "")
    return BORDER.join(first_tokens(part, _MOST_TOKENS) for part in parts if part)
