"""JSON Lines, plain or compressed: rows are lines, kept byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import InputError
from holdfast.formats.container import ByteSplitter, Chunk, byte_splitter
from holdfast.formats.problems import TORN, Problem
from holdfast.formats.rows import Record
from holdfast.formats.streams import Blocks

MAX_LINE = 1 << 28
BOM = b"\xef\xbb\xbf"


@dataclass
class LinesFile:
    """A file of one JSON value per line.

    Blank lines are not rows; they travel with the kept rows.
    """

    path: Path
    suffix: str
    compression: str
    size: int
    head: bytes = b""
    kind: str = "jsonl"
    joiner: bytes = b""
    tail: bytes = b""

    def chunks(self, chunk_bytes: int, after: Chunk | None = None) -> Iterator[Chunk]:
        """Cut the file at line ends, about `chunk_bytes` apart."""
        if self.compression:
            yield from self._compressed_chunks(chunk_bytes, after)
            return
        index, line, start = 0, 1, len(self.head)
        if after is not None:
            index, line, start = after.index + 1, after.next_line, after.start + after.length
        with self.path.open("rb") as handle:
            while True:
                handle.seek(start)
                data = handle.read(chunk_bytes)
                if not data:
                    return
                cut = data.rfind(b"\n") + 1
                while not cut and len(data) >= chunk_bytes:
                    chunk_bytes, data = chunk_bytes * 2, data + (more := handle.read(chunk_bytes))
                    self._check_length(len(data), line)
                    cut = data.rfind(b"\n") + 1
                    if not more:
                        break
                length = cut or len(data)
                lines = data.count(b"\n", 0, length) + (not cut)
                yield Chunk(index, line, length, start, length, lines=lines)
                index, line, start = index + 1, line + lines, start + length

    def _compressed_chunks(self, chunk_bytes: int, after: Chunk | None) -> Iterator[Chunk]:
        blocks = Blocks(self.path, self.compression)
        index, line, seen, skip = 0, 1, 0, -1 if after is None else after.index
        pending: list[bytes] = []
        held, drop = 0, len(self.head)

        def cut(data: bytes, torn: str = "") -> Chunk:
            lines = data.count(b"\n") + (not data.endswith(b"\n"))
            return Chunk(index, line, blocks.read - seen, payload=data, torn=torn, lines=lines)

        for block in blocks:
            block, drop = block[drop:], max(0, drop - len(block))
            pending.append(block)
            held += len(block)
            self._check_length(held, line)
            end = block.rfind(b"\n") + 1
            if held < chunk_bytes or not end:
                continue
            rest = block[end:]
            pending[-1] = block[:end]
            chunk = cut(b"".join(pending))
            if index > skip:
                yield chunk
            index, line, seen = index + 1, chunk.next_line, blocks.read
            pending, held = [rest], len(rest)
        data = b"".join(pending)
        if (data or blocks.torn) and index > skip:
            yield cut(data, blocks.torn or "")

    def _check_length(self, length: int, line: int) -> None:
        if length > MAX_LINE:
            raise InputError(
                f"no line end in {length >> 20} MiB",
                path=self.path,
                line=line,
                fix="write one JSON object per line",
            )

    def records(self, chunk: Chunk) -> Iterator[Record]:
        """The lines of a chunk that are not blank."""
        rows = self._load(chunk).split(b"\n")
        last = len(rows) - 1
        for number, raw in enumerate(rows):
            if number == last and chunk.torn:
                problem = Problem(chunk.line + number, TORN, f"{chunk.torn}: the rest of the file is missing")
                yield Record(chunk.line + number, raw, problem=problem)
                continue
            if raw.endswith(b"\r"):
                raw = raw[:-1]
            if raw and not raw.isspace():
                yield Record(chunk.line + number, raw)

    def pieces(self, chunk: Chunk, targets: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """The lines of a chunk with their endings; a chunk of one target comes whole."""
        data = self._load(chunk)
        here = bytes(targets[chunk.line : chunk.next_line])
        if here.count(here[0]) == len(here):
            yield chunk.line, data
            return
        rows = data.split(b"\n")
        for number, raw in enumerate(rows[:-1]):
            yield chunk.line + number, raw + b"\n"
        if rows[-1]:
            yield chunk.line + len(rows) - 1, rows[-1]

    def splitter(self, paths: Sequence[Path]) -> AbstractContextManager[ByteSplitter]:
        """Open files of the same kind."""
        return byte_splitter(self, paths)

    def _load(self, chunk: Chunk) -> bytes:
        if chunk.payload is not None:
            payload: bytes = chunk.payload
            return payload
        with self.path.open("rb") as handle:
            handle.seek(chunk.start)
            return handle.read(chunk.length)
