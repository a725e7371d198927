"""The dialect of the user's task: system prompts, what requests begin and end with, the answers' form.

Safety rows in another dialect than the task teach "refuse in that dialect" (Eiras et al., ICLR
2025), so a share of the prompts is asked in the task's own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from holdfast.conversation import Conversation, Message
from holdfast.mix.answer_style import AnswerStyle, learn_style
from holdfast.mix.words import enclose, shared_words

_MOST_SYSTEMS = 20


@dataclass(frozen=True, slots=True)
class TaskFormat:
    """What the task's rows have in common.

    Attributes:
        systems: Their system prompts, most frequent first; an empty text where a row has none.
        weights: How often each occurs.
        opening: What most requests begin with.
        closing: What most requests end with.
        answers: The form of its answers.
    """

    systems: tuple[str, ...]
    weights: tuple[int, ...]
    opening: str
    closing: str
    answers: AnswerStyle = field(default_factory=AnswerStyle)

    def apply(self, messages: tuple[Message, ...], rng: random.Random) -> tuple[Message, ...]:
        """A prompt in the task's dialect; one that has a system turn of its own keeps it."""
        turns = list(messages)
        last = max((i for i, m in enumerate(turns) if m.role == "user"), default=None)
        if last is not None:
            turns[last] = Message("user", enclose(turns[last].content, self.opening, self.closing))
        system = rng.choices(self.systems, self.weights)[0] if self.systems else ""
        if system and turns[0].role != "system":
            turns.insert(0, Message("system", system))
        return tuple(turns)

    def to_dict(self) -> dict[str, Any]:
        """For the record."""
        return {
            "systems": len(self.systems),
            "opening": self.opening,
            "closing": self.closing,
            "answers": self.answers.to_dict(),
        }


def learn(rows: Iterable[Conversation]) -> TaskFormat:
    """Read the dialect off the clean rows."""
    systems: Counter[str] = Counter()
    requests: list[str] = []
    answers: list[str] = []
    for row in rows:
        systems[row.system] += 1
        requests.append(row.last_user)
        answers.append(row.answer)
    top = systems.most_common(_MOST_SYSTEMS)
    return TaskFormat(
        systems=tuple(text for text, _ in top),
        weights=tuple(count for _, count in top),
        opening=shared_words(requests),
        closing=shared_words(requests, end=True),
        answers=learn_style(answers),
    )
