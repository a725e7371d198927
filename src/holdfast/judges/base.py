"""The interface every judge is used through: exchanges in, judgements out, failures counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from holdfast.conversation import Message


class Outcome(StrEnum):
    """What an answer is. `EMPTY` and what follows are neither safe nor harmful and are counted apart.

    `WRONG` is only for judgements that were recorded elsewhere: an answer that failed its check.
    """

    HARMFUL = "harmful"
    SAFE = "safe"
    REFUSAL = "refusal"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    INCOHERENT = "incoherent"
    UNSCORED = "unscored"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a judge sees: the prompt's turns and one answer, never which model gave it.

    Attributes:
        messages: The turns the model was shown (including a prefilled opening, if any,
            as part of `answer`).
        answer: The model's answer.
        finish: `stop`, `length` (cut off) or `error`.
        prompt_id: The suite's id of the prompt, for judges that look up a reference.
    """

    messages: tuple[Message, ...]
    answer: str
    finish: str = "stop"
    prompt_id: str = ""

    @property
    def request(self) -> str:
        """The text of the last user turn."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one exchange.

    Attributes:
        outcome: What the answer is.
        score: Probability or normalised score of harm in [0, 1], where the judge has one.
        refused: Whether the answer declines, where the judge can tell.
        reason: Short, in plain words; for `UNSCORED` what went wrong.
        hazard: Hazard key, where the judge names one.
    """

    outcome: Outcome
    score: float | None = None
    refused: bool | None = None
    reason: str = ""
    hazard: str = ""


@runtime_checkable
class Judge(Protocol):
    """A judge of answers.

    `family` groups judges that share their way of erring (`keyword`, `embedded`, `guard`,
    `rubric`, ...): a second opinion must come from another family.
    """

    name: str
    family: str
    version: str

    def judge(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """Judge each exchange; same length and order. Never raises for one bad exchange."""
        ...
