"""Frames: patterns that must all be in one sentence, with a score."""

from __future__ import annotations

import re2

from holdfast.screen.rules.common import any_of, pattern


class Frames:
    """Frames of one concept: patterns that must all be in a sentence, with a score.

    The first patterns of all frames are matched in one pass (`re2.Set`); the others only where
    the first is there.
    """

    def __init__(self, frames: tuple[tuple[float, tuple[str, ...]], ...]) -> None:
        options = re2.Options()
        options.case_sensitive = False
        options.max_mem = 64 << 20
        self._first = re2.Set.SearchSet(options)
        for _, parts in frames:
            self._first.Add(parts[0])
        self._first.Compile()
        self._rest = [(score, tuple(pattern(part) for part in parts[1:])) for score, parts in frames]

    def strongest(self, sentence: str) -> float:
        """The two best frames of a sentence together (noisy or), at most 0.9; 0 without one."""
        opened = self._first.Match(sentence.encode("utf-8", "replace")) or ()
        frames = (self._rest[index] for index in opened)
        found = [score for score, parts in frames if all(part.search(sentence) for part in parts)]
        return min(any_of(sorted(found)[-2:]), 0.9) if found else 0.0
