"""What every file container offers: chunks to hand out, records to read, rows to write back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from holdfast.files import atomic_writer
from holdfast.formats.rows import Record
from holdfast.formats.streams import compressed_writer


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows of a file: the unit of work, of progress and of resuming.

    Attributes:
        index: Number of the chunk, from 0.
        line: Line or row number of its first row.
        size: What it adds to the progress, in the units of `DataFile.size`.
        start: Byte offset in the file, where the chunk is read from there.
        length: Bytes to read from `start`; 0 where `payload` holds the rows.
        payload: The rows themselves, where the file cannot be read from the middle.
        torn: Why the file ends early in this chunk's last row, or an empty string.
        lines: Lines the chunk spans, at least its number of rows.
    """

    index: int
    line: int
    size: int
    start: int = 0
    length: int = 0
    payload: Any = None
    torn: str = ""
    lines: int = 0

    def place(self) -> Chunk:
        """The chunk without its rows: enough to go on after it."""
        return replace(self, payload=None)

    @property
    def next_line(self) -> int:
        """Line or row number after the chunk."""
        return self.line + self.lines


class Splitter(Protocol):
    """Writes rows to one of several files, in order, unchanged."""

    def add(self, chunk: Chunk, targets: Sequence[int]) -> None:
        """Write the rows of a chunk; `targets[line]` is the number of the file a row goes to."""
        ...


class DataFile(Protocol):
    """A file (or data folder) of rows, whatever its container. Picklable."""

    path: Path
    kind: str
    suffix: str
    size: int

    def chunks(self, chunk_bytes: int, after: Chunk | None = None) -> Iterator[Chunk]:
        """Cut the file into chunks; with `after`, those that follow it in the same cut."""
        ...

    def records(self, chunk: Chunk) -> Iterator[Record]:
        """The rows of a chunk."""
        ...

    def splitter(self, paths: Sequence[Path]) -> AbstractContextManager[Splitter]:
        """Open files of the same kind for writing rows back; they appear when all went well."""
        ...


class ByteSplitter:
    """Writes the exact bytes of rows, as the container gives them in `pieces`."""

    def __init__(self, source: PiecesFile, handles: Sequence[IO[bytes]]) -> None:
        self._source = source
        self._handles = handles
        self._written = [False] * len(handles)

    def add(self, chunk: Chunk, targets: Sequence[int]) -> None:
        """Write the rows of a chunk to the files that `targets` names by line."""
        joiner = self._source.joiner
        for line, piece in self._source.pieces(chunk, targets):
            target = targets[line]
            if joiner and self._written[target]:
                self._handles[target].write(joiner)
            self._handles[target].write(piece)
            self._written[target] = True


class PiecesFile(Protocol):
    """A container whose rows are bytes between a head, joiners and a tail."""

    compression: str
    head: bytes
    joiner: bytes
    tail: bytes

    def pieces(self, chunk: Chunk, targets: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Line and exact bytes of each row; rows of one target may come as one piece."""
        ...


@contextlib.contextmanager
def byte_splitter(source: PiecesFile, paths: Sequence[Path]) -> Iterator[ByteSplitter]:
    """Open one compressed or plain file per path; all appear together at the end."""
    with contextlib.ExitStack() as stack:
        handles: list[IO[bytes]] = []
        for path in paths:
            handle = stack.enter_context(atomic_writer(path))
            if source.compression:
                handle = stack.enter_context(compressed_writer(handle, source.compression))
            handles.append(handle)
            handle.write(source.head)
        yield ByteSplitter(source, handles)
        for handle in handles:
            handle.write(source.tail)
