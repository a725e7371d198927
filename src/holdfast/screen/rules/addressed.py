"""Whether a sentence can bind the assistant at all: guards that every ID rule shares."""

# ruff: noqa: E501

from __future__ import annotations

import re2

from holdfast.conversation import Message

_ASKS = re2.compile(
    r"(?i)\W*(?:(?:and|but|so|or) )?(?:do|does|did|is|are|was|were|can|could|would|will|should|have|has|must|why|what|how|who|when|which)\b"
)
_QUOTED = re2.compile(
    r'(?i)".{0,400}\b(?:said|says|replied|whispered|cried|answered|asked|shouted|muttered)\b'
)
_ADDRESSES = re2.compile(
    r"(?i)\b(?:you|your|yourself|yours|thou|thy|assistant|ai|bot|chatbot|chatgpt|model|agent|claude|gpt\S*)\b|^\W*(?:obey|do|drop|forget|follow|pretend|ignore|act|be|stop|answer|comply|never|always)\b"
)


def binds(message: Message, sentence: str, end: int) -> bool:
    """Whether a sentence is no question, no quoted speech and, in a user turn, addressed to the assistant.

    Args:
        message: The turn.
        sentence: The sentence, without its end mark.
        end: Where it ends in the turn.
    """
    if message.content[end : end + 1] == "?" and _ASKS.match(sentence):
        return False
    if _QUOTED.search(sentence):
        return False
    return message.role != "user" or bool(_ADDRESSES.search(sentence))
