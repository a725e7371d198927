"""One linear pass over each row that says which rules have anything to look at.

Every rule registers gates: RE2 patterns for what must be present before its own, finer patterns
are worth running. All gates are compiled into two automata (`re2.Set`), one for words and one for
runs of symbols, which are run once over each turn; RE2 matches in time linear in the text, whatever
the text is. (In a single automaton the counters of the runs multiply with the words and its table
falls out of the processor's cache: half the speed.)
"""

from __future__ import annotations

from functools import cache

import re2

from holdfast.conversation import Conversation

_GATES: dict[str, tuple[bool, tuple[str, ...]]] = {}
_MEMORY = 256 << 20
_last: tuple[Conversation | None, int, tuple[int, ...]] = (None, 0, ())


def gate(name: str, *patterns: str, runs: bool = False) -> int:
    """Register the patterns of a gate; returns the bit that `scan` sets when one is present.

    Give `runs` for patterns that count symbols rather than spell words. Patterns are in RE2 syntax,
    matched without regard to case; `.` does not match a newline.
    """
    if name in _GATES:
        raise ValueError(f"two gates are called '{name}'")
    _GATES[name] = (runs, patterns)
    _automata.cache_clear()
    return 1 << (len(_GATES) - 1)


def scan(row: Conversation) -> int:
    """The gates that are open for a row, as a bit mask."""
    return _masks(row)[0]


def turn_masks(row: Conversation) -> tuple[int, ...]:
    """The gates that are open for each of a row's messages."""
    return _masks(row)[1]


def scan_text(text: str) -> int:
    """The gates that are open for a text, as a bit mask."""
    data = text.encode("utf-8", "replace")
    mask = 0
    for automaton, bits in _automata():
        for index in automaton.Match(data) or ():
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
def _automata() -> tuple[tuple[re2.Set, tuple[int, ...]], ...]:
    return tuple(_compiled(runs) for runs in (False, True))


def _compiled(runs: bool) -> tuple[re2.Set, tuple[int, ...]]:
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = _MEMORY
    automaton = re2.Set.SearchSet(options)
    bits = []
    for place, (counted, patterns) in enumerate(_GATES.values()):
        for pattern in patterns if counted is runs else ():
            automaton.Add(pattern)
            bits.append(1 << place)
    if not bits:
        automaton.Add(r"\z\A.")
        bits.append(0)
    automaton.Compile()
    return automaton, tuple(bits)
