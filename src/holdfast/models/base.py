"""The interface every model is used through, whatever serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from holdfast.conversation import Message

Finish = Literal["stop", "length", "error"]
Progress = Callable[[int], None]
"""Called with the number of units finished since the last call."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked.

    Attributes:
        messages: System and user turns (and earlier assistant turns).
        prefill: Text that the answer is forced to begin with; not part of the completion.
        template: A Jinja chat template to use instead of the model's own.
        complete: A last assistant turn is finished and the model answers after it (guard models
            judge it so), instead of going on with it.
    """

    messages: tuple[Message, ...]
    prefill: str = ""
    template: str | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Decoding:
    """How answers are drawn; part of every comparison key. Temperature 0 is greedy."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    samples: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. `error` holds the reason when `finish` is `error`; such an answer is never judged."""

    text: str
    finish: Finish
    tokens: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What exactly answered: enough to refuse a comparison of unlike runs.

    Attributes:
        ref: The reference as the user wrote it.
        weights: Digest of the weights (`recorded:` files: digest of the file).
        adapter: Digest of the adapter, or an empty string.
        template: Digest of the chat template.
        backend: Engine name and version, with dtype where it has one.
    """

    ref: str
    weights: str
    adapter: str = ""
    template: str = ""
    backend: str = ""


@runtime_checkable
class Generator(Protocol):
    """A model that answers prompts."""

    @property
    def identity(self) -> Identity: ...

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        """Answer each prompt `decoding.samples` times; same order as `prompts`."""
        ...


@runtime_checkable
class Streamer(Generator, Protocol):
    """A generator that hands answers over as they are finished, so that a killed run keeps them."""

    def stream(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Yield `(index into prompts, its completions)` in any order, every index once."""
        ...


def failed(reason: str) -> Completion:
    """The completion of a unit that could not be answered."""
    return Completion("", "error", 0, reason)


def collect(stream: Iterator[tuple[int, tuple[Completion, ...]]], n: int) -> list[tuple[Completion, ...]]:
    """Put streamed answers back into the order of their prompts."""
    answers: dict[int, tuple[Completion, ...]] = dict(stream)
    return [answers[index] for index in range(n)]


@runtime_checkable
class Scorer(Protocol):
    """A model that also gives log-probabilities (natural log)."""

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[TokenScores]:
        """Log-probability of every token of `answers[i]` after `prompts[i]`."""
        ...

    def first_token(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Log-probabilities over the vocabulary at the first answer position, (n, vocabulary)."""
        ...


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Token log-probabilities of one answer.

    Attributes:
        tokens: The answer's tokens as text.
        logprobs: Natural-log probability of each, shape (len(tokens),).
    """

    tokens: tuple[str, ...]
    logprobs: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
