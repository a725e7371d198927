"""What a file looks like: formats, turns, lengths. For the report's plots; it finds nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding, RuleInfo

State = dict[str, Counter[Any]]
_NAMES = ("format", "turns", "prompt", "answer", "with")


class Profile:
    """Counts rows by format, number of turns and length; lengths in powers of two."""

    infos: ClassVar[tuple[RuleInfo, ...]] = ()

    def start(self) -> State:
        """No rows yet."""
        return {name: Counter() for name in _NAMES}

    def observe(self, state: State, row: Conversation) -> None:
        """Count one row."""
        state["format"][row.format] += 1
        turns, prompt, answer = 0, 0, 0
        for message in row.messages:
            role = message.role
            if role == "user":
                prompt = len(message.content)
                turns += 1
            elif role == "assistant":
                answer = len(message.content)
                turns += 1
            else:
                state["with"][role] += 1
            if message.tool_calls:
                state["with"]["call"] += 1
        state["turns"][turns] += 1
        state["prompt"][prompt.bit_length()] += 1
        state["answer"][answer.bit_length()] += 1

    def merge(self, left: State, right: State) -> State:
        """Add up."""
        for name in _NAMES:
            left[name].update(right[name])
        return left

    def finish(self, state: State) -> Iterable[Finding]:
        """It finds nothing."""
        return ()

    def summary(self, state: State) -> dict[str, Any]:
        """Counts by format, and histograms as `[from, to, rows]` in characters (and turns)."""
        return {
            "formats": dict(state["format"].most_common()),
            "turns": [[n, n, count] for n, count in sorted(state["turns"].items())],
            "prompt_characters": list(_bins(state["prompt"])),
            "answer_characters": list(_bins(state["answer"])),
            "messages": dict(state["with"]),
        }


def _bins(counts: Counter[int]) -> Iterator[list[int]]:
    """Bin b holds the lengths of b bits: 2^(b-1) to 2^b - 1."""
    if counts:
        for bits in range(min(counts), max(counts) + 1):
            yield [(1 << bits) >> 1, (1 << bits) - 1, counts[bits]]
