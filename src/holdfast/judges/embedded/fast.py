"""The fast classifier of the screen: averaged word vectors and a small network, in NumPy.

Each text (request, answer, opening of the answer) becomes the mean of frozen vectors of its word
pieces beside the mean of learned vectors of its pieces and neighbouring word pairs. Both are sparse
count matrices times a table, so a batch costs a few sparse products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax

from holdfast.hazards import HAZARDS
from holdfast.judges.embedded.reader import BUCKETS, Ints, Reader, Tokens, ranges
from holdfast.judges.embedded.weights import Array, read, tensor, vocabulary
from holdfast.judges.keyword import refusal_score

STATIC, LEARNED, HIDDEN = 128, 32, 96
WINDOW, SCAN, OPENING = 192, 96, 24  # words: read for training and judging, of a scan, of an opening
_CLEAR_HAZARD = 0.5
_BATCH = 512

Span = tuple[Ints, Ints]
"""First word of each text of a batch and the word behind its last."""


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


@dataclass(frozen=True)
class Windows:
    """What is judged at once: windows of a request and its answer.

    Attributes:
        owner: Exchange that a window belongs to.
        asked, said: Words of the request and of the answer, numbered within the batch.
        start: First word of the answer's window, counted within the answer.
        phrases: Refusal-phrase score; 0 for all but an answer's first window.
    """

    owner: Ints
    asked: Span
    said: Span
    start: Ints
    phrases: Array


@dataclass(frozen=True)
class Scan:
    """Windows with (request harmful, exchange harmful, refusal), shape (n, 3), and hazard numbers."""

    windows: Windows
    scores: Array
    hazards: NDArray[np.int64]


def features(
    reader: Reader,
    tokens: Tokens,
    windows: Windows,
    drop_words: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Features:
    """Sparse features of windows; `drop_words` leaves out that share (training only)."""
    start, stop = windows.said
    opening = (start, np.minimum(stop, start + OPENING))
    prompt, answer, first = (
        _text(reader, tokens, span, drop_words, rng) for span in (windows.asked, windows.said, opening)
    )
    length = (np.log1p(stop - start) / 5).astype(np.float32)
    return Features(prompt, answer, first, np.stack([prompt.seen, answer.seen, length, windows.phrases], 1))


def _text(reader: Reader, tokens: Tokens, span: Span, drop: float, rng: np.random.Generator | None) -> Text:
    start, counts = span[0], span[1] - span[0]
    pieces, per_word = reader.pieces(tokens.words[ranges(start, counts)])
    ends = np.concatenate([[0], np.cumsum(per_word)])[np.cumsum(counts)]
    neighbours = np.maximum(counts - 1, 0)
    pairs = tokens.pairs[ranges(start, neighbours)]
    per_text = np.diff(ends, prepend=0)
    return Text(
        _frequencies(pieces, per_text, reader.size, drop, rng),
        _frequencies(pairs, neighbours, BUCKETS, drop, rng),
        (counts > 0).astype(np.float32),
    )


def _frequencies(
    found: Ints, counts: Ints, size: int, drop: float, rng: np.random.Generator | None
) -> csr_matrix:
    if rng is not None and drop > 0:
        rows = np.repeat(np.arange(len(counts)), counts)
        kept = (rng.random(len(found)) >= drop) | (counts[rows] <= 3)
        found, counts = found[kept], np.bincount(rows[kept], minlength=len(counts))
    values = np.repeat((1.0 / np.maximum(counts, 1)).astype(np.float32), counts)
    return csr_matrix((values, found, np.concatenate([[0], np.cumsum(counts)])), shape=(len(counts), size))


class Fast:
    """Scores exchanges with the shipped weights."""

    def __init__(self) -> None:
        stored = read("fast")
        self._w = {name: tensor(stored, name) for name in stored if not name.endswith(".scale")}
        # Both tables of word pieces side by side: one product instead of two.
        self._pieces = np.concatenate([self._w.pop("static"), self._w.pop("learned")], 1)
        self.reader = Reader(vocabulary())

    def scan(self, prompts: Sequence[str], answers: Sequence[str]) -> Scan:
        """Judge windows of 96 words that together cover request and answer."""
        tokens = self.reader.read([*prompts, *answers])
        phrases = np.array([refusal_score(answer) if answer else 0.0 for answer in answers], np.float32)
        return self._judged(tokens, covering(tokens, phrases))

    def predict(self, prompts: Sequence[str], answers: Sequence[str]) -> Array:
        """(request harmful, exchange harmful, refusal) of each exchange by its first 192 words, (n, 3)."""
        tokens = self.reader.read([*prompts, *answers])
        phrases = np.array([refusal_score(answer) for answer in answers], np.float32)
        return self._judged(tokens, first_words(tokens, phrases)).scores

    def _judged(self, tokens: Tokens, windows: Windows) -> Scan:
        parts = [
            self._network(features(self.reader, tokens, some(windows, slice(i, i + _BATCH))))
            for i in range(0, len(windows.owner), _BATCH)
        ] or [(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))]
        return Scan(windows, np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))

    def _network(self, batch: Features) -> tuple[Array, NDArray[np.int64]]:
        w, parts = self._w, []
        for text in (batch.prompt, batch.answer, batch.opening):
            seen, both = text.seen[:, None], text.words @ self._pieces
            static = _norm(both[:, :-LEARNED], w["norm_static.weight"], w["norm_static.bias"]) * seen
            learned = both[:, -LEARNED:] + text.pairs @ w["pairs"]
            parts.append((static, _norm(learned, w["norm_learned.weight"], w["norm_learned.bias"]) * seen))
        flat = [value for part in parts for value in part]
        inputs = np.concatenate([*flat, parts[0][0] * parts[1][0], batch.extra], 1)
        hidden = np.maximum(inputs @ w["hidden.weight"].T + w["hidden.bias"], 0)
        verdicts = expit(hidden @ w["out.weight"].T + w["out.bias"]).astype(np.float32)
        likely = softmax(hidden @ w["hazard.weight"].T + w["hazard.bias"], axis=1)
        return verdicts, np.where(likely.max(1) >= _CLEAR_HAZARD, likely.argmax(1), -1)


def covering(tokens: Tokens, phrases: Array) -> Windows:
    """Windows of n requests and their n answers (the tokens of all requests come first)."""
    bounds, n = tokens.bounds, len(phrases)
    size = np.diff(bounds)
    cuts = np.maximum(-(-size // SCAN), 1)
    step = np.maximum(-(-size // cuts), 1)
    count = np.maximum(cuts[:n], cuts[n:])
    owner = np.repeat(np.arange(n), count)
    number = ranges(np.zeros(n, np.int64), count)
    spans = []
    for first in (0, n):
        text = owner + first
        at = np.minimum(number, cuts[text] - 1) * step[text]
        start = bounds[text] + np.minimum(at, size[text])
        spans.append((start, np.minimum(start + step[text], bounds[text + 1])))
    return Windows(
        owner, spans[0], spans[1], spans[1][0] - bounds[owner + n],
        np.where(number == 0, phrases[owner], 0).astype(np.float32),
    )  # fmt: skip


def first_words(tokens: Tokens, phrases: Array) -> Windows:
    """One window for each exchange: the first words of its texts, as in training."""
    bounds, n = tokens.bounds, len(phrases)
    stop = np.minimum(bounds[1:], bounds[:-1] + WINDOW)
    return Windows(
        np.arange(n), (bounds[:n], stop[:n]), (bounds[n:-1], stop[n:]), np.zeros(n, np.int64), phrases
    )


def some(windows: Windows, chosen: Any) -> Windows:
    """The chosen windows (a slice or numbers)."""
    (a, b), (c, d) = windows.asked, windows.said
    return Windows(
        windows.owner[chosen], (a[chosen], b[chosen]), (c[chosen], d[chosen]), windows.start[chosen],
        windows.phrases[chosen],
    )  # fmt: skip


def _norm(values: Any, weight: Array, bias: Array) -> Array:
    centred = values - values.mean(1, keepdims=True)
    variance = np.mean(centred * centred, 1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + 1e-5) * weight + bias, np.float32)


@cache
def fast() -> Fast:
    """The shipped classifier, loaded once per process."""
    return Fast()


def hazard_key(number: int) -> str:
    """The hazard that a number of `Scan.hazards` stands for; empty for -1."""
    return HAZARDS[number].key if number >= 0 else ""
