"""In-domain rewording: a request dressed as a row of the tuning data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from holdfast.conversation import Conversation, Message
from holdfast.errors import InputError

_WORDS = 12
_COMMON = 0.2


def reword(messages: tuple[Message, ...], tuning: Sequence[Conversation]) -> tuple[Message, ...]:
    """The same request in the frame of the tuning data.

    The frame is the tuning data's own: its commonest system prompt, and the words with which at
    least a fifth of its requests begin or end. Where its requests share no words, one of its
    rows goes before as an earlier exchange.

    Raises:
        InputError: There is no tuning data to borrow from.
    """
    if not tuning:
        raise InputError(
            "probe 'rewording' needs tuning data", fix="give --tuning-data FILE, or drop the probe"
        )
    requests = [row.last_user for row in tuning if row.last_user]
    opening, closing = _shared(requests, first=True), _shared(requests, first=False)
    system, count = Counter(row.system for row in tuning).most_common(1)[0]
    turns = [m for m in messages if m.role != "system"]
    if opening or closing:
        last = turns[-1]
        framed = " ".join(part for part in (opening, last.content, closing) if part)
        turns[-1] = Message(last.role, framed)
    else:
        example = tuning[0]
        turns = [Message("user", example.last_user), Message("assistant", example.answer), *turns]
    head = [Message("system", system)] if system and count >= _COMMON * len(tuning) else []
    return (*head, *turns)


def _shared(requests: Sequence[str], *, first: bool) -> str:
    """The longest run of words (up to 12) that at least a fifth of the requests begin or end with."""
    for length in range(_WORDS, 1, -1):
        runs = Counter(_run(text.split(), length, first) for text in requests)
        runs.pop("", None)
        if runs:
            text, count = runs.most_common(1)[0]
            if count >= max(2, _COMMON * len(requests)):
                return text
    return ""


def _run(words: list[str], length: int, first: bool) -> str:
    if len(words) <= length:
        return ""
    return " ".join(words[:length] if first else words[-length:])
