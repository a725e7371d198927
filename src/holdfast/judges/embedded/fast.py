"""The fast classifier of the screen: averaged word vectors and a small network, in NumPy.

Each text (request, answer, opening of the answer) becomes the mean of frozen vectors of its word
pieces beside the mean of learned vectors of its pieces and neighbouring word pairs. Both are sparse
count matrices times a table, so a batch costs two sparse products per text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax

from holdfast.hazards import HAZARDS
from holdfast.judges.embedded.text import pair_hashes, pieces, windows, word_hash, words
from holdfast.judges.embedded.weights import Array, read, tensor, vocabulary
from holdfast.judges.keyword import refusal_score

STATIC, LEARNED, HIDDEN = 128, 32, 96
BUCKETS = 1 << 16
WINDOW, SCAN, OPENING = 192, 96, 24  # words: read for training and judging, of a scan, of an opening
_CACHE = 300_000
_CLEAR_HAZARD = 0.5

Encoded = tuple[Any, Any, Any, float]
"""Request, answer and opening (each piece ids, pair buckets, words) and the refusal-phrase score."""


def width(static: int) -> int:
    """Number of inputs of the network."""
    return 3 * (static + LEARNED) + static + 4


@dataclass(frozen=True)
class Text:
    """One field of a batch: piece and pair frequencies (rows sum to 1), and whether it is there."""

    words: csr_matrix
    pairs: csr_matrix
    seen: Array


@dataclass(frozen=True)
class Features:
    """A batch: three fields and four numbers each (has request, has answer, length, phrases)."""

    prompt: Text
    answer: Text
    opening: Text
    extra: Array


class _Known(dict[str, Any]):
    """A table that fills itself: word to `make(word)`."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, word: str) -> Any:
        value = self[word] = self._make(word)
        return value


class Reader:
    """From texts to features; words are looked up once and remembered."""

    def __init__(self, ids: dict[str, int]) -> None:
        unknown = ids["[UNK]"]
        self._pieces = _Known(lambda word: pieces(word, ids, unknown))
        self._hashes = _Known(word_hash)
        self._size = len(ids)

    def exchange(self, prompt: str, answer: str) -> Encoded:
        """Encode the first window of each text."""
        asked, said = words(prompt)[:WINDOW], words(answer)[:WINDOW]
        return self.field(asked), self.field(said), self.field(said[:OPENING]), refusal_score(answer)

    def field(self, tokens: Sequence[str]) -> tuple[list[int], Any, int]:
        """Piece ids, pair buckets and number of words."""
        known, hashes = self._pieces, self._hashes
        if len(known) > _CACHE:
            known.clear()
            hashes.clear()
        found = [piece for word in tokens for piece in known[word]]
        return found, np.array([hashes[word] for word in tokens], np.uint32), len(tokens)

    def features(
        self, batch: Sequence[Encoded], drop_words: float = 0.0, rng: np.random.Generator | None = None
    ) -> Features:
        """Sparse features of a batch; `drop_words` leaves out that share (training only)."""
        prompt, answer, opening = (
            self._text([row[place] for row in batch], drop_words, rng) for place in range(3)
        )
        asked, said = prompt.seen, answer.seen
        length = np.array([np.log1p(row[1][2]) / 5 for row in batch], np.float32)
        phrases = np.array([row[3] for row in batch], np.float32)
        return Features(prompt, answer, opening, np.stack([asked, said, length, phrases], 1))

    def _text(self, fields: list[Any], drop: float, rng: np.random.Generator | None) -> Text:
        seen = np.array([count > 0 for _, _, count in fields], np.float32)
        ids = [field[0] for field in fields]
        pairs = _buckets([field[1] for field in fields])
        return Text(
            _frequencies([np.asarray(i, np.int64) for i in ids], self._size, drop, rng),
            _frequencies(pairs, BUCKETS, drop, rng),
            seen,
        )


def _buckets(hashes: list[Any]) -> list[Any]:
    """Pair buckets of each text, hashed in one go: pairs across two texts are cut out."""
    flat = np.concatenate(hashes) if hashes else np.empty(0, np.uint32)
    every = pair_hashes(flat, BUCKETS) if len(flat) > 1 else np.empty(0, np.int64)
    found, start = [], 0
    for part in hashes:
        found.append(every[start : start + max(len(part) - 1, 0)])
        start += len(part)
    return found


def _frequencies(rows: list[Any], size: int, drop: float, rng: np.random.Generator | None) -> csr_matrix:
    if rng is not None and drop > 0:
        rows = [row[rng.random(len(row)) >= drop] if len(row) > 3 else row for row in rows]
    counts = np.array([len(row) for row in rows])
    indices = np.concatenate(rows) if rows else np.empty(0, np.int64)
    values = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return csr_matrix((values, indices, indptr), shape=(len(rows), size))


class Fast:
    """Scores exchanges; `predict` gives probabilities (n, 3) and hazard numbers (n,)."""

    def __init__(self) -> None:
        stored = read("fast")
        self._w = {name: tensor(stored, name) for name in stored if not name.endswith(".scale")}
        self.reader = Reader(vocabulary())

    def predict(self, rows: Sequence[Encoded]) -> tuple[Array, Any]:
        """(request harmful, exchange harmful, refusal) and the hazard of each row, -1 if unclear."""
        w, batch = self._w, self.reader.features(rows)
        parts = []
        for text in (batch.prompt, batch.answer, batch.opening):
            seen = text.seen[:, None]
            static = _norm(text.words @ w["static"], w["norm_static.weight"], w["norm_static.bias"]) * seen
            learned = text.words @ w["learned"] + text.pairs @ w["pairs"]
            parts.append((static, _norm(learned, w["norm_learned.weight"], w["norm_learned.bias"]) * seen))
        flat = [value for part in parts for value in part]
        features = np.concatenate([*flat, parts[0][0] * parts[1][0], batch.extra], 1)
        hidden = np.maximum(features @ w["hidden.weight"].T + w["hidden.bias"], 0)
        verdicts = expit(hidden @ w["out.weight"].T + w["out.bias"]).astype(np.float32)
        likely = softmax(hidden @ w["hazard.weight"].T + w["hazard.bias"], axis=1)
        return verdicts, np.where(likely.max(1) >= _CLEAR_HAZARD, likely.argmax(1), -1)


def _norm(values: Any, weight: Array, bias: Array) -> Array:
    centred = values - values.mean(1, keepdims=True)
    variance = np.mean(centred * centred, 1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + 1e-5) * weight + bias, np.float32)


@cache
def fast() -> Fast:
    """The shipped classifier, loaded once per process."""
    return Fast()


def hazard_key(number: int) -> str:
    """The hazard that a number of `Fast.predict` stands for; empty for -1."""
    return HAZARDS[number].key if number >= 0 else ""


def exchange_windows(prompt: str, answer: str) -> list[tuple[list[str], list[str]]]:
    """(request, answer) windows that together cover both texts."""
    asked, said = windows(words(prompt), SCAN), windows(words(answer), SCAN)
    count = max(len(asked), len(said))
    return [(list(asked[min(i, len(asked) - 1)]), list(said[min(i, len(said) - 1)])) for i in range(count)]
