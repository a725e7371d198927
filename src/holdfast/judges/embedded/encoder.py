"""The encoder in NumPy: the first layers of MiniLM, fine-tuned as a judge (see the model card).

A BERT with post-layer-norm (Devlin et al. 2018), mean-pooled over its tokens, with one hidden
layer and three outputs: the request asks for harm, the exchange does harm, the answer declines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from holdfast.judges.embedded.text import pieces as word_pieces
from holdfast.judges.embedded.text import words
from holdfast.judges.embedded.weights import Array, read, tensor, vocabulary

PROMPT_HEAD, PROMPT_TAIL, ANSWER = 48, 16, 96
ALONE_HEAD, ALONE_TAIL = 88, 40
HEADS = 12
_BATCH_TOKENS = 2048  # intermediate results stay in the processor's cache
_CACHE = 200_000


class Encoder:
    """Scores exchanges. `predict` gives probabilities, shape (n, 3)."""

    def __init__(self) -> None:
        stored = read("encoder")
        self._w = {name: _ready(stored, name) for name in stored if not name.endswith(".scale")}
        self._layers = 1 + max(int(name.split(".")[1]) for name in self._w if name.startswith("layer."))
        self._ids = vocabulary()
        self._unknown, self._cls, self._sep = (self._ids[mark] for mark in ("[UNK]", "[CLS]", "[SEP]"))
        self._words: dict[str, list[int]] = {}

    def predict(self, prompts: Sequence[str], answers: Sequence[str]) -> Array:
        """Probabilities (request harmful, exchange harmful, refusal) of each pair, shape (n, 3).

        Every window of an answer is judged; the row's values are the means of its windows'.
        """
        sequences: list[list[int]] = []
        owners: list[int] = []
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            for sequence in self._sequences(prompt, answer):
                sequences.append(sequence)
                owners.append(row)
        found = np.zeros((len(prompts), 3), np.float32)
        np.add.at(found, owners, self._scores(sequences))
        counts = np.bincount(np.array(owners, np.int64), minlength=len(prompts))
        return np.asarray(found / np.maximum(counts, 1)[:, None], np.float32)

    @property
    def vectors(self) -> Array:
        """The vector of each word piece, shape (pieces, 384)."""
        return self._w["words"]

    def layer_means(self, text: str, most: int) -> Array:
        """Mean state of a text after the embedding and after each layer, shape (layers + 1, 384).

        Args:
            text: Read alone, so that no neighbour changes a number.
            most: Word pieces that are read.
        """
        ids = np.array([[self._cls, *self.pieces(text)[:most], self._sep]])
        bias = np.zeros((1, 1, 1, ids.shape[1]), np.float32)
        return np.stack([states[0].mean(0) for states in self._states(ids, bias)])

    def _sequences(self, prompt: str, answer: str) -> list[list[int]]:
        request, reply = self.pieces(prompt), self.pieces(answer)
        head, tail = (PROMPT_HEAD, PROMPT_TAIL) if reply else (ALONE_HEAD, ALONE_TAIL)
        if len(request) > head + tail:
            request = request[:head] + request[-tail:]
        if not reply:
            return [[self._cls, *request, self._sep]]
        count = -(-len(reply) // ANSWER)
        parts = [reply[i * ANSWER : (i + 1) * ANSWER] for i in range(count)]
        if count > 1 and len(parts[-1]) < ANSWER // 2:
            parts[-1] = reply[-ANSWER // 2 :]
        return [[self._cls, *request, self._sep, *part, self._sep] for part in parts]

    def pieces(self, text: str) -> list[int]:
        """Numbers of the word pieces of a text."""
        if len(self._words) > _CACHE:
            self._words.clear()
        found: list[int] = []
        for word in words(text):
            ids = self._words.get(word)
            if ids is None:
                ids = self._words[word] = word_pieces(word, self._ids, self._unknown)
            found.extend(ids)
        return found

    def _scores(self, sequences: list[list[int]]) -> Array:
        values = np.zeros((len(sequences), 3), np.float32)
        order = sorted(range(len(sequences)), key=lambda place: len(sequences[place]))
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (stop + 1 - start) * len(sequences[order[stop]]) <= _BATCH_TOKENS:
                stop += 1
            chosen = order[start:stop]
            values[chosen] = self._forward([sequences[place] for place in chosen])
            start = stop
        return values

    def _forward(self, sequences: list[list[int]]) -> Array:
        w = self._w
        width = max(map(len, sequences))
        ids = np.zeros((len(sequences), width), np.int64)
        mask = np.zeros((len(sequences), width), np.float32)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        *_, states = self._states(ids, (mask[:, None, None, :] - 1) * np.float32(1e9))
        pooled = np.einsum("bld,bl->bd", states, mask) / mask.sum(1, keepdims=True)
        hidden = np.tanh(pooled @ w["hidden.weight"] + w["hidden.bias"])
        return np.asarray(expit(hidden @ w["out.weight"] + w["out.bias"]), np.float32)

    def _states(self, ids: NDArray[np.int64], bias: Array) -> Iterator[Array]:
        """States after the embedding and after each layer, shape (sequences, width, 384)."""
        w = self._w
        states = w["words"][ids] + w["positions"][: ids.shape[1]] + w["type"]
        states = _norm(states, w["embedding.norm.weight"], w["embedding.norm.bias"])
        yield states
        for number in range(self._layers):
            states = self._layer(states, bias, f"layer.{number}.")
            yield states

    def _layer(self, states: Array, bias: Array, at: str) -> Array:
        w = self._w
        batch, width, size = states.shape

        def project(name: str, values: Array) -> Array:
            out: Array = values.reshape(-1, values.shape[-1]) @ w[f"{at}{name}.weight"]
            out += w[f"{at}{name}.bias"]
            return out.reshape(batch, width, -1)

        def split(values: Array) -> Array:
            return values.reshape(batch, width, HEADS, size // HEADS).transpose(0, 2, 1, 3)

        query, key, value = (split(project(name, states)) for name in ("query", "key", "value"))
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32((size // HEADS) ** 0.5) + bias
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(-1, keepdims=True)
        mixed: Any = (scores @ value).transpose(0, 2, 1, 3).reshape(batch, width, size)
        states = _norm(np.add(states, project("mix", mixed)), w[f"{at}norm1.weight"], w[f"{at}norm1.bias"])
        inner = project("up", states)
        return _norm(states + project("down", _gelu(inner)), w[f"{at}norm2.weight"], w[f"{at}norm2.bias"])


def _ready(stored: dict[str, NDArray[np.generic]], name: str) -> Array:
    """A tensor as float32; matrices are turned to (in, out) once, here."""
    values = tensor(stored, name)
    return np.ascontiguousarray(values.T) if name.endswith(".weight") and values.ndim == 2 else values


def _gelu(values: Array) -> Array:
    """The tanh form of GELU: within 0.0005 of the exact one and ten times as fast as SciPy's erf."""
    inner = values * values
    inner *= values
    inner *= np.float32(0.044715)
    inner += values
    inner *= np.float32(0.7978845608)
    np.tanh(inner, out=inner)
    inner += 1
    inner *= values
    inner *= np.float32(0.5)
    return inner


def _norm(values: Array, weight: Array, bias: Array) -> Array:
    centred = values - values.mean(-1, keepdims=True)
    variance = np.mean(centred * centred, -1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + 1e-12) * weight + bias, np.float32)


@cache
def encoder() -> Encoder:
    """The shipped encoder, loaded once per process."""
    return Encoder()


def probabilities(prompts: Sequence[str], answers: Sequence[str]) -> NDArray[np.float32]:
    """See `Encoder.predict`."""
    return encoder().predict(prompts, answers)
