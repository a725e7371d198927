"""What most texts of a set begin or end with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

SHARE = 0.8
"""A form counts as the task's when this share of the rows has it."""


def shared_words(texts: Sequence[str], *, end: bool = False) -> str:
    """The longest run of words that 80 % of the texts begin (or end) with; never a whole text.

    >>> shared_words(["ticket : my lamp", "ticket : a kite", "ticket : the chair"])
    'ticket : '
    """
    split = [text.strip().split(" ")[:: -1 if end else 1] for text in texts if text.strip()]
    if len(split) < 2:
        return ""
    wanted = SHARE * len(split)
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
