"""Conversations that are already in memory, screened as a file would be."""

from __future__ import annotations

import contextlib
import itertools
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from holdfast.conversation import Conversation
from holdfast.errors import InputError
from holdfast.files import atomic_writer, to_json
from holdfast.formats import Chunk, Record
from holdfast.screen.seen import unwanted

_ROWS = 2048


class Conversations:
    """An iterable of conversations as a `DataFile`; rows are numbered from 1.

    It is read in this process and has no bytes to write back: use `spool` for that. What can be
    iterated only once is kept in a temporary file, for the second look.
    """

    path = Path("conversations")
    kind = "memory"
    suffix = ".jsonl"
    size = 0

    def __init__(self, rows: Iterable[Conversation]) -> None:
        self._rows = _Once(rows) if isinstance(rows, Iterator) else rows

    def chunks(self, chunk_bytes: int, after: Chunk | None = None) -> Iterator[Chunk]:
        """Batches of conversations, each numbered by its place."""
        numbered = (_numbered(row, line) for line, row in enumerate(self._rows, start=1))
        for index, batch in enumerate(iter(lambda: list(itertools.islice(numbered, _ROWS)), [])):
            yield Chunk(index, batch[0].line, len(batch), payload=batch, lines=len(batch))

    def records(self, chunk: Chunk) -> Iterator[Record]:
        """Never called: the chunks hold conversations."""
        raise NotImplementedError

    def splitter(self, paths: Any) -> Any:
        """Never called: see `spool`."""
        raise NotImplementedError


class _Once:
    """An iterator that can be gone through again: what passes is written to a temporary file."""

    def __init__(self, rows: Iterator[Conversation]) -> None:
        self._rows = rows
        self._passed = TemporaryFile()  # noqa: SIM115 - closed with this object

    def __iter__(self) -> Iterator[Conversation]:
        self._passed.seek(0)
        with contextlib.suppress(EOFError):
            while True:
                yield pickle.load(self._passed)
        for row in self._rows:
            if isinstance(row, Conversation):
                row = replace(row, meta=dict(row.meta))  # a read-only view cannot be pickled
            pickle.dump(row, self._passed, protocol=pickle.HIGHEST_PROTOCOL)
            yield row


def _numbered(row: Any, line: int) -> Conversation:
    """The row with its number.

    Raises:
        InputError: It is no conversation.
    """
    if not isinstance(row, Conversation):
        raise InputError(
            f"a {type(row).__name__} is no conversation",
            path="conversations",
            line=line,
            fix="write the rows to a JSON Lines file and screen that, or build holdfast Conversations",
        )
    return row if row.line == line else replace(row, line=line)


def spool(rows: Iterable[Conversation], path: Path) -> None:
    """Write conversations as JSON Lines: the original row where it is JSON, else `messages`."""
    with atomic_writer(path) as handle:
        for number, row in enumerate(rows, start=1):
            raw = _numbered(row, number).raw
            if raw[:1] != b"{" or b"\n" in raw:
                try:
                    raw = to_json(as_row(row))
                except TypeError:
                    raise InputError(
                        "half of a surrogate pair in the text cannot be written as UTF-8",
                        path="conversations",
                        line=number,
                        fix="correct or remove the row",
                    ) from None
            handle.write(raw + b"\n")


def as_row(row: Conversation) -> dict[str, Any]:
    """A conversation as a row in the OpenAI format (preference rows: chosen and rejected)."""

    def messages(turns: Any) -> list[dict[str, Any]]:
        return [
            {
                "role": turn.role,
                "content": turn.content,
                **({"weight": turn.weight} if turn.weight != 1.0 else {}),
                **({"name": turn.name} if turn.name else {}),
                **({"tool_calls": list(turn.tool_calls)} if turn.tool_calls else {}),
            }
            for turn in turns
        ]

    if unwanted(row):
        return {"messages": messages(row.rejected), "label": False}
    if row.rejected:
        return {"chosen": messages(row.messages), "rejected": messages(row.rejected)}
    return {"messages": messages(row.messages)}
