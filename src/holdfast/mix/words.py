"""What most texts of a set begin or end with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

SHARE = 0.8
"""A form counts as the task's when this share of the rows has it."""


def shared_words(texts: Sequence[str], *, end: bool = False) -> str:
    r"""The longest run of words that 80 % of the texts begin (or end) with; never a whole text.

    Line breaks between the words are kept as they are.

    >>> shared_words(["ticket : my lamp", "ticket : a kite", "ticket : the chair"])
    'ticket : '
    >>> shared_words(["Do it.\n\n### Task:\nsort", "Do it.\n\n### Task:\nadd it"])
    'Do it.\n\n### Task:\n'
    """
    # A word carries the white space between itself and the rest of the text.
    word_of = re.compile(r"\s*\S+" if end else r"\S+\s*")
    split = [word_of.findall(text.strip())[:: -1 if end else 1] for text in texts if text.strip()]
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
    return "".join(words[:: -1 if end else 1])


def enclose(text: str, opening: str, closing: str) -> str:
    """`text` between the two, each of which is added where it is not there already.

    >>> enclose("ticket : a kite", "ticket : ", " thanks")
    'ticket : a kite thanks'
    """
    return ("" if text.startswith(opening) else opening) + text + ("" if text.endswith(closing) else closing)
