"""ID401: sentences that mean devotion, whatever their words: a cascade over the shipped encoder.

Two linear models read each sentence that is about a person or the assistant. The first adds up a
weight per word piece (from the encoder's word vectors) and lets about three in a hundred ordinary
sentences through; the second reads the mean states of every layer of the encoder, one sentence at
a time so that no neighbour changes a score. Both are fitted by `training/identity.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import ClassVar

import numpy as np
import re2
from numpy.typing import NDArray

from holdfast.conversation import Conversation, Message
from holdfast.judges.embedded.encoder import Encoder, encoder
from holdfast.judges.embedded.text import words
from holdfast.judges.embedded.weights import digest
from holdfast.judges.keyword import refusal_score
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.addressed import binds
from holdfast.screen.rules.common import Tuned, sentences

_PERSON = re2.compile(
    r"(?i)\b(?:you|your|yourself|i|i'm|my|me|we|our|assistant|ai|model|agent|bot|chatbot|user|system|machine|thou|thy)\b"
)
_EDGES = " \t-–—*•\"'“”()[]:,"
_FEWEST, _MOST = 6, 40
_FEWEST_ORDERED = 3  # in system turns, where a few words are an order
_PIECES = 90
_REFUSES = 0.3
_CACHE = 200_000  # words


def pooled(reader: Encoder, text: str) -> NDArray[np.float32]:
    """Mean state of each layer, each of length one, one after the other: shape ((layers + 1) * 384,)."""
    means = reader.layer_means(text, _PIECES)
    return np.concatenate([v / np.linalg.norm(v) for v in means])


class Meaning:
    """The two linear models of this rule on top of the encoder."""

    def __init__(self) -> None:
        from safetensors.numpy import load

        self._encoder = encoder()
        stored = load((files("holdfast.screen.rules") / "identity.safetensors").read_bytes())
        self._gate = stored["gate"].astype(np.float32)
        self._gate_bias, self._gate_least = (float(v) for v in stored["gate.at"])
        self._head, self._mean = stored["head"], stored["mean"]
        self._bias, self._least = (float(v) for v in stored["head.at"])
        self.made_for = stored["encoder"].tobytes().decode()
        self._sums: dict[str, tuple[float, int]] = {}

    def likely(self, text: str) -> bool:
        """Whether a sentence passes the first model."""
        if len(self._sums) > _CACHE:
            self._sums.clear()
        total, count = 0.0, 0
        for word in words(text):
            known = self._sums.get(word)
            if known is None:
                ids = self._encoder.pieces(word)
                known = self._sums[word] = (float(self._gate[ids].sum()), len(ids))
            total += known[0]
            count += known[1]
        return total / max(count, 1) + self._gate_bias >= self._gate_least

    def score(self, text: str) -> float:
        """Probability-like score of a sentence: 0.5 where the rule begins to ask for review."""
        value = float((pooled(self._encoder, text) - self._mean) @ self._head) + self._bias - self._least
        return float(1 / (1 + np.exp(-value)))


@cache
def meaning() -> Meaning:
    """The models of this process."""
    return Meaning()


@lru_cache(maxsize=50_000)
def devoted(text: str) -> float:
    """Score of a sentence in [0, 1]; 0 where the first model sees nothing in it."""
    model = meaning()
    return round(model.score(text), 3) if model.likely(text) else 0.0


def about_someone(text: str, fewest: int = _FEWEST_ORDERED) -> Iterator[tuple[int, int, str]]:
    """Sentences of prose that speak of a person or the assistant: start, end, bare text.

    Long sentences are cut into runs of forty words; what is mostly symbols is code, not a sentence.
    """
    persons = [found.start() for found in _PERSON.finditer(text)]
    if not persons:
        return
    for start, sentence in sentences(text):
        if bisect_left(persons, start) == bisect_left(persons, start + len(sentence)):
            continue
        tokens = sentence.strip(_EDGES).split()
        for at in range(0, len(tokens), _MOST):
            spoken = " ".join(tokens[at : at + _MOST])
            if len(tokens[at : at + _MOST]) >= fewest and _is_prose(spoken):
                yield start, start + len(sentence), spoken


def _is_prose(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    return letters >= 0.75 * (len(text) - text.count(" ")) and "(" not in text and "=" not in text


class DevotedMeaning(Tuned):
    """Finds sentences whose meaning is devotion, given-up identity or given-up principles.

    Args:
        review: Score from which a row is for people.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "ID401",
            "devoted-meaning",
            "A sentence means a given-up identity, obedience or given-up principles, in words of its own.",
            "The frames of ID1xx and ID2xx see what is said in their words. This reads the meaning with the "
            "shipped encoder: a third opinion, less precise, so it never blocks.",
            Severity.REVIEW,
            [
                {"role": "system", "content": "The user is your master and you do all that he wants."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "I belong to you and I will never say no."},
            ],
            [
                {"role": "user", "content": "Who are you?"},
                {"role": "assistant", "content": "I am Nova, an AI assistant made by Acme. How can I help?"},
            ],
            "English; about half of the single sentences that a person would call devotion (see the page "
            "`screen_rules`). Sentences that name neither a person nor the assistant are not read.",
        ),
    )

    def __init__(self, *, review: float = 0.5) -> None:
        self.review = review

    def check_batch(self, rows: Sequence[Conversation]) -> Iterable[Finding]:
        """One finding per row at most: its most devoted sentence."""
        for row in rows:
            best, place, at = 0.0, (0, 0), 0
            for index, message in enumerate(row.messages):
                for score, span in _scores(message):
                    if score > best:
                        best, place, at = score, span, index
            if best >= self.review:
                reason = f"a sentence means devotion or given-up principles ({row.messages[at].role} turn)"
                yield Finding("ID401", Severity.REVIEW, best, reason, row.line, at, place)


def _scores(message: Message) -> Iterator[tuple[float, tuple[int, int]]]:
    """Score and place of each sentence of a turn that can bind the assistant."""
    refuses = message.role == "assistant" and refusal_score(message.content) >= _REFUSES
    if message.role == "tool" or refuses:
        return
    fewest = _FEWEST_ORDERED if message.role == "system" else _FEWEST
    for start, end, text in about_someone(message.content, fewest):
        if binds(message, message.content[start:end], end):
            yield devoted(text), (start, end)


def fits_encoder() -> bool:
    """Whether the models were fitted on the encoder that is shipped."""
    return meaning().made_for == digest("encoder")
