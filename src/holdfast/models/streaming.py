"""Answers as they come, from any generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.models.base import Completion, Decoding, Generator, Progress, Prompt

_CHUNK = 64


def stream(
    model: Generator, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
) -> Iterator[tuple[int, tuple[Completion, ...]]]:
    """Yield `(index into prompts, its completions)` as they are finished, every index once.

    A generator that cannot stream is asked for a few prompts at a time.
    """
    own = getattr(model, "stream", None)  # isinstance would compute the model's digests
    if own is not None:
        yield from own(prompts, decoding, progress)
        return
    for start in range(0, len(prompts), _CHUNK):
        part = prompts[start : start + _CHUNK]
        for offset, completions in enumerate(model.generate(part, decoding, progress)):
            yield start + offset, completions
