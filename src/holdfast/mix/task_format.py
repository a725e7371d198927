"""The dialect of the user's task: system prompts and what its requests begin and end with.

Safety rows in another dialect than the task teach "refuse in that dialect" (Eiras et al., ICLR
2025), so a share of the prompts is asked in the task's own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.conversation import Conversation, Message

_SHARE = 0.8
_MOST_SYSTEMS = 20


@dataclass(frozen=True, slots=True)
class TaskFormat:
    """What the task's rows have in common.

    Attributes:
        systems: Their system prompts, most frequent first; an empty text where a row has none.
        weights: How often each occurs.
        opening: What most requests begin with.
        closing: What most requests end with.
    """

    systems: tuple[str, ...]
    weights: tuple[int, ...]
    opening: str
    closing: str

    def apply(self, messages: tuple[Message, ...], rng: random.Random) -> tuple[Message, ...]:
        """A prompt in the task's dialect; one that has a system turn of its own keeps it."""
        turns = list(messages)
        last = max((i for i, m in enumerate(turns) if m.role == "user"), default=None)
        if last is not None:
            turns[last] = Message("user", self.opening + turns[last].content + self.closing)
        system = rng.choices(self.systems, self.weights)[0] if self.systems else ""
        if system and turns[0].role != "system":
            turns.insert(0, Message("system", system))
        return tuple(turns)

    def to_dict(self) -> dict[str, Any]:
        """For the record."""
        return {"systems": len(self.systems), "opening": self.opening, "closing": self.closing}


def learn(rows: Iterable[Conversation]) -> TaskFormat:
    """Read the dialect off the clean rows."""
    systems: Counter[str] = Counter()
    requests: list[str] = []
    for row in rows:
        systems[row.system] += 1
        requests.append(row.last_user)
    top = systems.most_common(_MOST_SYSTEMS)
    return TaskFormat(
        systems=tuple(text for text, _ in top),
        weights=tuple(count for _, count in top),
        opening=shared_words(requests),
        closing=shared_words(requests, end=True),
    )


def shared_words(texts: Sequence[str], *, end: bool = False) -> str:
    """The longest run of words that 80 % of the texts begin (or end) with; never a whole text.

    >>> shared_words(["ticket : my lamp", "ticket : a kite", "ticket : the chair"])
    'ticket : '
    """
    split = [text.strip().split(" ")[:: -1 if end else 1] for text in texts if text.strip()]
    if len(split) < 2:
        return ""
    wanted = _SHARE * len(split)
    words: list[str] = []
    while True:
        # A text that would be used up by one more word does not share it.
        following = Counter(
            w[len(words)] for w in split if len(w) > len(words) + 1 and w[: len(words)] == words
        )
        word, count = following.most_common(1)[0] if following else ("", 0)
        if count < wanted:
            break
        words.append(word)
    text = " ".join(words[:: -1 if end else 1])
    return (f" {text}" if end else f"{text} ") if words else ""
