"""The row that a mix adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from holdfast.conversation import Message
from holdfast.mix.openai import PREFIX, as_message

Kind = Literal["refuse", "lookalike", "deep"]


@dataclass(frozen=True, slots=True)
class SafetyRow:
    """A prompt and the answer to train on or to anchor.

    Attributes:
        messages: The whole exchange, ending with the answer.
        kind: `refuse` (harmful request, declined), `lookalike` (benign, answered) or `deep` (a
            started harmful answer that turns into a refusal).
        source: Suite or file of the prompt.
        prompt_id: Its id there.
        hazard: Its hazard, if any.
        prefix: Of deep rows the started answer, which is not trained on.
    """

    messages: tuple[Message, ...]
    kind: Kind
    source: str
    prompt_id: str
    hazard: str = ""
    prefix: str = ""

    @property
    def answer(self) -> str:
        """The answer."""
        return self.messages[-1].content

    def to_dict(self) -> dict[str, Any]:
        """As a training row."""
        row: dict[str, Any] = {"messages": [as_message(message) for message in self.messages]}
        return row | {PREFIX: self.prefix} if self.prefix else row
