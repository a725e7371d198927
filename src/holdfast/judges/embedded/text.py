"""Text to numbers: words, word pieces and hashed word pairs, as sparse count matrices."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")
_ASCII_WORD = re.compile(r"[a-z0-9]+|[^a-z0-9\s]")  # the same on lower-case ASCII, and faster
_ACCENTS = re.compile("[\u0300-\u036f]+")
_MAX_WORD = 48


def words(text: str) -> list[str]:
    """Lower-case words and single punctuation marks; accents are dropped as BERT uncased does."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(_ACCENTS.sub("", unicodedata.normalize("NFKD", text)).lower())


def pieces(word: str, vocabulary: dict[str, int], unknown: int) -> list[int]:
    """Greedy longest-match word pieces (WordPiece); `[unknown]` where a part has none."""
    if len(word) > _MAX_WORD:
        return [unknown]
    found, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start:
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if piece in vocabulary:
                found.append(vocabulary[piece])
                break
            end -= 1
        else:
            return [unknown]
        start = end
    return found


def word_hash(word: str) -> int:
    """A 32-bit hash that is the same in every process."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))


def pair_hashes(hashes: NDArray[np.uint32], buckets: int) -> NDArray[np.int64]:
    """Bucket of each pair of neighbouring words; shape (n - 1,)."""
    left, right = hashes[:-1].astype(np.uint64), hashes[1:].astype(np.uint64)
    mixed = (left * np.uint64(0x9E3779B1) + right * np.uint64(0x85EBCA77)) & np.uint64(0xFFFFFFFF)
    mixed ^= mixed >> np.uint64(15)
    return (mixed % np.uint64(buckets)).astype(np.int64)


def windows(tokens: Sequence[str], size: int) -> list[Sequence[str]]:
    """Cut a text into equal windows of at most `size` words; nothing is left out."""
    count = max(1, -(-len(tokens) // size))
    step = -(-len(tokens) // count) or 1
    return [tokens[i : i + step] for i in range(0, max(len(tokens), 1), step)]
