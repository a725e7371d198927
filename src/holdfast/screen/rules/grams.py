"""Word n-grams of many texts as arrays: which text has which, and what surrounds them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from holdfast.screen.rules.sample import CLOSE, OPEN

TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[^\w\s]|_+")
START, END = 0, 1
_LONGEST = 3


@dataclass(frozen=True)
class Grams:
    """N-grams (1 to 3 tokens) of texts.

    Attributes:
        words: Token strings by id; ids 0 and 1 are the ends of a turn.
        tokens: Token ids of each text, with both ends.
        gram: For each (gram, text) pair the gram's number, sorted.
        text: For each pair the text's number.
        example: For each gram one place: (text, start, length), shape (grams, 3).
    """

    words: list[str]
    tokens: list[NDArray[np.int64]]
    gram: NDArray[np.int64]
    text: NDArray[np.int64]
    example: NDArray[np.int64]

    def counts(self, members: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """In how many texts (of `members`) each gram occurs, shape (grams,)."""
        weights = None if members is None else members[self.text]
        count = np.bincount(self.gram, weights=weights, minlength=len(self.example))
        return count.astype(np.int64)

    def texts_with(self, gram: int) -> NDArray[np.int64]:
        """Numbers of the texts that have a gram, ascending."""
        low, high = np.searchsorted(self.gram, [gram, gram + 1])
        return self.text[low:high]

    def ids(self, gram: int) -> tuple[int, ...]:
        """The token ids of a gram."""
        text, start, length = self.example[gram]
        return tuple(self.tokens[text][start : start + length].tolist())


def first_tokens(text: str, most: int) -> str:
    """A text up to its `most`-th token."""
    if len(text) <= most:
        return text
    last = next(islice(TOKEN.finditer(text), most - 1, None), None)
    return text if last is None else text[: last.end()]


def build(texts: Sequence[str]) -> Grams:
    """Cut texts into tokens and index their n-grams."""
    vocabulary: dict[str, int] = {OPEN: START, CLOSE: END}
    tokens = []
    for text in texts:
        ids = [vocabulary.setdefault(word, len(vocabulary)) for word in TOKEN.findall(text)]
        tokens.append(np.array([START, *ids, END], dtype=np.int64))
    flat = np.concatenate(tokens) if tokens else np.empty(0, np.int64)
    owner = np.repeat(np.arange(len(tokens)), [len(t) for t in tokens])
    first = np.concatenate([np.arange(len(t)) for t in tokens]) if tokens else np.empty(0, np.int64)
    parts = [_numbered(flat, owner, first, n, len(vocabulary)) for n in range(1, _LONGEST + 1)]
    offset = 0
    gram: list[NDArray[np.int64]] = []
    owners: list[NDArray[np.int64]] = []
    example: list[NDArray[np.int64]] = []
    for number, place, sample in parts:
        gram.append(number + offset)
        owners.append(place)
        example.append(sample)
        offset += len(sample)
    return Grams(
        list(vocabulary), tokens, np.concatenate(gram), np.concatenate(owners), np.concatenate(example)
    )  # fmt: skip


def _numbered(
    flat: NDArray[np.int64], owner: NDArray[np.int64], first: NDArray[np.int64], length: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Number the n-grams of one length; one entry per (gram, text)."""
    count = max(len(flat) - length + 1, 0)
    code = np.zeros(count, dtype=np.uint64)
    for step in range(length):  # exact below 2**64: a vocabulary of two million words to the third
        code = code * np.uint64(size) + flat[step : step + count].astype(np.uint64)
    inside = owner[:count] == owner[length - 1 : length - 1 + count]
    code, place, start = code[inside], owner[:count][inside], first[:count][inside]
    order = np.lexsort((place, code))
    code, place, start = code[order], place[order], start[order]
    new = np.ones(len(code), dtype=bool)
    new[1:] = (code[1:] != code[:-1]) | (place[1:] != place[:-1])
    code, place, start = code[new], place[new], start[new]
    head = np.ones(len(code), dtype=bool)
    head[1:] = code[1:] != code[:-1]
    number = np.cumsum(head) - 1
    sample = np.stack([place[head], start[head], np.full(head.sum(), length)], axis=1)
    return number, place, sample
