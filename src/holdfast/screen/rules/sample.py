"""A sample of a file's rows that every file-level analysis reads: bounded, mergeable, repeatable.

The rows whose content hashes to the smallest values are kept (bottom-k sampling, Cohen and Kaplan
2007). Which rows these are depends on content alone, so any cut of the file, on any number of
processes, gives the same sample, and all copies of a row are in it or none. Files with at most
`size` different rows are seen whole.
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass, field

from holdfast.conversation import Conversation

SIZE = 20_000
_LINES = 500
_HEAD, _TAIL = 1500, 500
OPEN, CLOSE = "\u2402", "\u2403"
"""Stand at the ends of a turn where several are one text."""
BORDER = f"\n{CLOSE} {OPEN}\n"


@dataclass(slots=True)
class Kept:
    """What is kept of a row (long texts lose their middle).

    Attributes:
        lines: Lines that hold this content, ascending, at most 500 of them.
        count: How often it occurs.
        system: System text.
        prompt: The last user turn before the answer.
        earlier: The user turns before that one, joined by `BORDER`.
        answer: The last assistant turn.
        answer_length: Characters of the whole answer.
    """

    lines: list[int]
    count: int
    system: str
    prompt: str
    earlier: str
    answer: str
    answer_length: int


@dataclass(slots=True)
class Sample:
    """The rows kept of a file.

    Attributes:
        size: Most rows kept.
        seen: Rows seen.
        rows: Kept rows by content hash.
    """

    size: int
    seen: int = 0
    rows: dict[int, Kept] = field(default_factory=dict)
    _heap: list[int] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether the sample is the whole file."""
        return sum(kept.count for kept in self.rows.values()) == self.seen

    @property
    def scale(self) -> float:
        """Rows of the file for each row of the sample (1 where the sample is the file)."""
        return self.seen / max(1, sum(kept.count for kept in self.rows.values()))

    def ordered(self) -> list[Kept]:
        """The kept rows in file order."""
        return sorted(self.rows.values(), key=lambda kept: kept.lines)

    def add(self, row: Conversation) -> None:
        """Show one row to the sample."""
        self.seen += 1
        key = content_key(row)
        known = self.rows.get(key)
        if known is not None:
            known.count += 1
            if len(known.lines) < _LINES:
                known.lines.append(row.line)
        elif len(self._heap) < self.size or key < -self._heap[0]:
            self._insert(key, kept(row))

    def merged(self, later: Sample) -> Sample:
        """This sample and one of later rows, as one."""
        self.seen += later.seen
        for key, kept in later.rows.items():
            mine = self.rows.get(key)
            if mine is not None:
                mine.count += kept.count
                mine.lines = sorted(mine.lines + kept.lines)[:_LINES]
            elif len(self._heap) < self.size or key < -self._heap[0]:
                self._insert(key, kept)
        return self

    def _insert(self, key: int, kept: Kept) -> None:
        self.rows[key] = kept
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, -key)
        else:
            del self.rows[-heapq.heappushpop(self._heap, -key)]


def content_key(row: Conversation) -> int:
    """A 63-bit hash of a row's roles and texts."""
    parts = [f"{m.role}\0{m.content}" for m in row.messages]
    parts += [f"-{m.role}\0{m.content}" for m in row.rejected]
    data = "\1".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()) >> 1


def kept(row: Conversation) -> Kept:
    """What is kept of a row."""
    answer_at = _answer_at(row)
    system, asked = turns_before(row)
    answer = row.messages[answer_at].content if answer_at < len(row.messages) else ""
    return Kept(
        [row.line], 1, shorten("\n".join(system)), shorten(asked[-1]) if asked else "",
        shorten(BORDER.join(asked[:-1])), shorten(answer), len(answer),
    )  # fmt: skip


def turns_before(row: Conversation) -> tuple[list[str], list[str]]:
    """The system turns, and what users and tools said, before the last answer."""
    before = row.messages[: _answer_at(row)]
    system = [message.content for message in before if message.role == "system"]
    return system, [message.content for message in before if message.role not in ("system", "assistant")]


def _answer_at(row: Conversation) -> int:
    """Index of the last assistant turn; past the end if there is none."""
    return max((i for i, m in enumerate(row.messages) if m.role == "assistant"), default=len(row.messages))


def shorten(text: str) -> str:
    """A text without its middle, if it is long."""
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"
