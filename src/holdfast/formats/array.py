"""A JSON array of rows, streamed: elements are found by their brackets and kept byte for byte."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from holdfast.formats.container import ByteSplitter, Chunk, byte_splitter
from holdfast.formats.problems import TORN, Problem
from holdfast.formats.rows import Record
from holdfast.formats.streams import Blocks

# A whole string, or a string that the buffer cuts off (then group 1 is empty), or a mark.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[\[\]{},]', re.S)
_OPEN, _CLOSE = frozenset(b"[{"), frozenset(b"]}")


@dataclass
class ArrayFile:
    """A file that is one JSON array; rows are numbered from 1."""

    path: Path
    suffix: str
    compression: str
    size: int
    lead: int = 0
    kind: str = "json"
    head: bytes = b"[\n"
    joiner: bytes = b",\n"
    tail: bytes = b"\n]\n"

    def chunks(self, chunk_bytes: int, after: Chunk | None = None) -> Iterator[Chunk]:
        """Collect elements until they fill a chunk."""
        blocks = Blocks(self.path, self.compression)
        skip = -1 if after is None else after.index
        index, row, seen = 0, 1, 0
        rows: list[bytes] = []
        held, torn = 0, ""
        for raw, torn in self._elements(blocks):
            rows.append(raw)
            held += len(raw)
            if held >= chunk_bytes and not torn:
                if index > skip:
                    yield Chunk(index, row, blocks.read - seen, payload=rows, lines=len(rows))
                index, row, seen = index + 1, row + len(rows), blocks.read
                rows, held = [], 0
        if rows and index > skip:
            yield Chunk(index, row, blocks.read - seen, payload=rows, torn=torn, lines=len(rows))

    def _elements(self, blocks: Blocks) -> Iterator[tuple[bytes, str]]:
        """Each element's bytes; the last comes with why the array ends early, if it does."""
        buffer, position, start, depth = b"", 0, -1, 0
        drop, wanted = self.lead, 0
        for block in itertools.chain(blocks, [b""]):  # the empty one: what is held is all there is
            buffer += block[drop:]
            drop = max(0, drop - len(block))
            if block and len(buffer) < wanted:
                continue
            wanted = 0
            while (token := _TOKEN.search(buffer, position)) is not None:
                mark = buffer[token.start()]
                if mark == 0x22:
                    if not token.group(1):
                        # The string goes on in the next block. Waiting for twice as much keeps
                        # a very long string linear.
                        wanted = 2 * (len(buffer) - token.start())
                        break
                elif mark in _OPEN:
                    depth += 1
                    if depth == 1:
                        start = token.end()
                elif mark in _CLOSE or depth == 1:
                    if mark in _CLOSE:
                        depth -= 1
                    if depth == 0 or (depth == 1 and mark == 0x2C):
                        raw = buffer[start : token.start()].strip()
                        if raw or mark == 0x2C:
                            yield raw, ""
                        start = token.end()
                        if depth == 0:
                            yield from _after_end(buffer[start:], blocks)
                            return
                position = token.end()
            else:
                position = len(buffer)
            if start > 0:
                buffer, position, start = buffer[start:], position - start, 0
        rest = buffer[max(start, 0) :].strip()
        why = blocks.torn or "the JSON array is not closed"
        yield rest, why

    def records(self, chunk: Chunk) -> Iterator[Record]:
        """The elements of a chunk."""
        last = len(chunk.payload) - 1
        for number, raw in enumerate(chunk.payload):
            if number == last and chunk.torn:
                problem = Problem(chunk.line + number, TORN, f"{chunk.torn}: the rest of the file is missing")
                yield Record(chunk.line + number, raw, problem=problem)
            else:
                yield Record(chunk.line + number, raw)

    def pieces(self, chunk: Chunk, targets: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """The elements of a chunk."""
        yield from enumerate(chunk.payload, chunk.line)

    def splitter(self, paths: Sequence[Path]) -> AbstractContextManager[ByteSplitter]:
        """Open files of the same kind."""
        return byte_splitter(self, paths)


def _after_end(rest: bytes, blocks: Blocks) -> Iterator[tuple[bytes, str]]:
    rest = rest.strip()
    if rest:
        yield rest, "there is text after the end of the JSON array"
