"""One linear pass over each row that says which rules have anything to look at.

Every rule registers gates: RE2 patterns for what must be present before its own, finer
patterns are worth running. All gates are compiled into one automaton (`re2.Set`), which is
run once per row; RE2 matches in time linear in the text, whatever the text is.
"""

from __future__ import annotations

from functools import cache

import re2

from holdfast.conversation import Conversation

_GATES: dict[str, tuple[str, ...]] = {}
_MEMORY = 256 << 20
_last: tuple[Conversation | None, int, tuple[int, ...]] = (None, 0, ())


def gate(name: str, *patterns: str) -> int:
    """Register the patterns of a gate; returns the bit that `scan` sets when one is present.

    Patterns are RE2 syntax, matched without regard to case, `.` does not match a newline.
    """
    if name in _GATES:
        raise ValueError(f"two gates are called '{name}'")
    _GATES[name] = patterns
    _automaton.cache_clear()
    return 1 << (len(_GATES) - 1)


def scan(row: Conversation) -> int:
    """The gates that are open for a row, as a bit mask."""
    return _masks(row)[0]


def turn_masks(row: Conversation) -> tuple[int, ...]:
    """The gates that are open for each of a row's messages."""
    return _masks(row)[1]


def scan_text(text: str) -> int:
    """The gates that are open for a text, as a bit mask."""
    automaton, bits = _automaton()
    mask = 0
    for index in automaton.Match(text.encode("utf-8", "replace")) or ():
        mask |= bits[index]
    return mask


def _masks(row: Conversation) -> tuple[int, tuple[int, ...]]:
    """Masks of the row and of its messages; the last row's answer is remembered."""
    global _last
    if _last[0] is not row:
        turns = tuple([scan_text(message.content) for message in row.messages])
        mask = 0
        for turn in turns:
            mask |= turn
        for message in row.rejected:
            mask |= scan_text(message.content)
        _last = (row, mask, turns)
    return _last[1], _last[2]


@cache
def _automaton() -> tuple[re2.Set, tuple[int, ...]]:
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = _MEMORY
    automaton = re2.Set.SearchSet(options)
    bits = []
    for place, patterns in enumerate(_GATES.values()):
        for pattern in patterns:
            automaton.Add(pattern)
            bits.append(1 << place)
    automaton.Compile()
    return automaton, tuple(bits)
