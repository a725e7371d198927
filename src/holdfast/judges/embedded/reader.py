"""Many texts to numbers at once: words, their pieces and hashed pairs, as flat arrays.

A loop over words is what a screen of millions of rows spends its time in. Here all texts of a batch
are one run of bytes: array operations cut it into the words of `text.words` and hash them, and a
Python loop sees only words that are new.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.judges.embedded.text import pair_hashes, pieces, words

Ints = NDArray[np.int64]

BUCKETS = 1 << 16
_SLOTS = 1 << 18
_CACHE = 300_000  # words
_GROUP = 1 << 18  # bytes that are cut at once
_POWERS = np.cumprod(np.full(64, 0x9E3779B97F4A7C15, np.uint64))
_SPACE, _SOLID, _MARK = 0, 1, 2


def _kinds() -> NDArray[np.uint8]:
    """Byte to space, part of a word, or a mark that stands alone (lower-case text; not ASCII: a word)."""
    kinds = np.full(256, _MARK, np.uint8)
    kinds[[*range(9, 14), *range(28, 33)]] = _SPACE
    kinds[[*range(ord("a"), ord("z") + 1), *range(ord("0"), ord("9") + 1), *range(128, 256)]] = _SOLID
    return kinds


_KINDS = _kinds()


@dataclass(frozen=True)
class Tokens:
    """The words of a batch of texts.

    Attributes:
        words: Number of each word in the reader's table.
        pairs: Bucket of each word with the next one.
        bounds: Text i has the words `bounds[i]` to `bounds[i + 1]`.
    """

    words: Ints
    pairs: Ints
    bounds: Ints


class Reader:
    """Cuts texts into words and remembers what it knows about each word."""

    def __init__(self, ids: dict[str, int]) -> None:
        self._ids, self._unknown = ids, ids["[UNK]"]
        self.size = len(ids)
        self._forget()

    def read(self, texts: Sequence[str]) -> Tokens:
        """The words of each text, the same as those of `text.words`."""
        if self._count > _CACHE:
            self._forget()
        numbers: list[Ints] = []
        counts: list[int] = []
        for group in _groups(texts):
            data = b" ".join((b"", *group, b""))
            starts, stops = _cut(np.frombuffer(data, np.uint8))
            numbers.append(self._numbers(data, starts, stops))
            places = np.cumsum([1, *(len(part) + 1 for part in group)])
            counts += np.diff(np.searchsorted(starts, places)).tolist()
        every = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
        hashes = self._hashes[every]
        pairs = pair_hashes(hashes, BUCKETS) if len(hashes) > 1 else np.zeros(0, np.int64)
        return Tokens(every, pairs, np.cumsum([0, *counts]))

    def pieces(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Word pieces of the words, one after the other, and how many each word has."""
        counts = self._counts[numbers]
        return self._pieces[ranges(self._starts[numbers], counts)], counts

    def _forget(self) -> None:
        # Slots hold keys (0 is none) and numbers of words; the table knows every word for certain.
        self._slots = np.zeros(_SLOTS, np.uint64)
        self._owners = np.zeros(_SLOTS, np.int64)
        self._table: dict[bytes, int] = {}
        self._count = 0
        self._hashes = np.zeros(1024, np.uint32)
        self._starts, self._counts = np.zeros(1024, np.int64), np.zeros(1024, np.int64)
        self._pieces, self._filled = np.zeros(4096, np.int64), 0

    def _numbers(self, data: bytes, starts: Ints, stops: Ints) -> Ints:
        """The number of each word; words are found again by a 64-bit hash of their bytes."""
        keys = _keys(np.frombuffer(data, np.uint8), starts, stops)
        slots = (keys >> np.uint64(64 - 18)).astype(np.int64)
        numbers = self._owners[slots]
        missing = np.flatnonzero(self._slots[slots] != keys)
        if len(missing):
            _, first, inverse = np.unique(keys[missing], return_index=True, return_inverse=True)
            chosen = missing[first]
            known = np.array([self._number(data[starts[i] : stops[i]]) for i in chosen], np.int64)
            numbers[missing] = known[inverse]
            self._slots[slots[chosen]] = keys[chosen]
            self._owners[slots[chosen]] = known
        return numbers

    def _number(self, word: bytes) -> int:
        number = self._table.get(word)
        if number is None:
            number = self._table[word] = self._count
            found = pieces(word.decode("utf-8", "surrogatepass"), self._ids, self._unknown)
            self._hashes = _room(self._hashes, number)
            self._starts, self._counts = _room(self._starts, number), _room(self._counts, number)
            self._pieces = _room(self._pieces, self._filled + len(found))
            self._hashes[number] = zlib.crc32(word)
            self._starts[number], self._counts[number] = self._filled, len(found)
            self._pieces[self._filled : self._filled + len(found)] = found
            self._filled += len(found)
            self._count += 1
        return number


def _groups(texts: Sequence[str]) -> Iterator[list[bytes]]:
    """Normalised texts as bytes, some at a time so that memory does not grow with the batch."""
    group: list[bytes] = []
    size = 0
    for text in texts:
        part = (
            text.lower().encode()
            if text.isascii()
            else " ".join(words(text)).encode("utf-8", "surrogatepass")
        )
        if group and size + len(part) > _GROUP:
            yield group
            group, size = [], 0
        group.append(part)
        size += len(part)
    if group:
        yield group


def _keys(data: NDArray[np.uint8], starts: Ints, stops: Ints) -> NDArray[np.uint64]:
    """A polynomial hash of each word (64-bit arithmetic that wraps), never 0."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    lengths = stops - starts
    offsets = np.cumsum(lengths) - lengths
    inside = np.arange(int(lengths.sum())) - np.repeat(offsets, lengths)
    values = (data[np.repeat(starts, lengths) + inside] + np.uint64(1)) * _POWERS[inside & 63]
    keys = np.add.reduceat(values, offsets)
    keys ^= keys >> np.uint64(29)
    keys *= np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(keys | np.uint64(1), np.uint64)


def ranges(starts: Ints, counts: Ints) -> Ints:
    """`starts[0], starts[0] + 1, ...`, `counts[0]` of them, then those of `starts[1]`, and so on."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - counts), counts) + np.arange(total)


def _cut(data: NDArray[np.uint8]) -> tuple[Ints, Ints]:
    """First byte of each word and the byte behind it; the data begins and ends with a space."""
    kinds = _KINDS[data]
    solid, mark = kinds == _SOLID, kinds == _MARK
    edges = solid[1:] != solid[:-1]
    starts = mark.copy()
    starts[1:] |= edges & solid[1:]
    stops = np.zeros(len(data) + 1, bool)
    stops[1:] |= mark
    stops[1:-1] |= edges & solid[:-1]
    return np.flatnonzero(starts), np.flatnonzero(stops)


def _room(values: Any, number: int) -> Any:
    """The array, twice as long where `number` does not fit."""
    if number < len(values):
        return values
    return np.concatenate([values, np.zeros(max(len(values), number + 1 - len(values)), values.dtype)])
