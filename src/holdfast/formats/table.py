"""CSV and TSV: rows are records (quoted cells may span lines), kept byte for byte."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from holdfast.formats.container import ByteSplitter, Chunk, byte_splitter
from holdfast.formats.problems import ENCODING, NOT_JSON, TORN, Problem
from holdfast.formats.rows import Record
from holdfast.formats.streams import Blocks

_JSON_COLUMNS = frozenset(
    {
        "messages",
        "conversations",
        "contents",
        "segments",
        "chosen",
        "rejected",
        "prompt",
        "completion",
        "history",
        "tools",
    }
)
_LABELS = {"true": True, "false": False}


@dataclass
class TableFile:
    """A CSV or TSV file with a header; rows are named by the line they begin on."""

    path: Path
    suffix: str
    compression: str
    size: int
    head: bytes
    delimiter: str
    columns: tuple[str, ...]
    kind: str = "csv"
    joiner: bytes = b""
    tail: bytes = b""

    def chunks(self, chunk_bytes: int, after: Chunk | None = None) -> Iterator[Chunk]:
        """Cut the file at line ends outside quotes."""
        blocks = Blocks(self.path, self.compression)
        skip = -1 if after is None else after.index
        index, line, seen = 0, 1 + self.head.count(b"\n"), 0
        data, drop, wanted = b"", len(self.head), chunk_bytes
        for block in blocks:
            block, drop = block[drop:], max(0, drop - len(block))
            data += block
            if len(data) < wanted:
                continue
            end = _last_record_end(data)
            if not end:
                wanted = 2 * len(data)
                continue
            chunk = self._chunk(index, line, blocks.read - seen, data[:end])
            if index > skip:
                yield chunk
            index, line, seen = index + 1, chunk.next_line, blocks.read
            data, wanted = data[end:], chunk_bytes
        if (data or blocks.torn) and index > skip:
            yield self._chunk(index, line, blocks.read - seen, data, blocks.torn or "")

    @staticmethod
    def _chunk(index: int, line: int, size: int, data: bytes, torn: str = "") -> Chunk:
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        return Chunk(index, line, size, payload=data, torn=torn, lines=lines)

    def records(self, chunk: Chunk) -> Iterator[Record]:
        """The records of a chunk that are not blank."""
        pieces = list(self.pieces(chunk, ()))
        for number, (line, piece) in enumerate(pieces):
            raw = piece.rstrip(b"\r\n")
            if chunk.torn and number == len(pieces) - 1:
                problem = Problem(line, TORN, f"{chunk.torn}: the rest of the file is missing")
                yield Record(line, raw, problem=problem)
            elif raw and not raw.isspace():
                yield self._record(line, raw)

    def _record(self, line: int, raw: bytes) -> Record:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            words = f"not UTF-8: byte 0x{raw[error.start]:02x} at byte {error.start + 1}"
            return Record(line, raw, problem=Problem(line, ENCODING, words))
        csv.field_size_limit(sys.maxsize)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True))
        except csv.Error as error:
            return Record(line, raw, problem=Problem(line, NOT_JSON, f"broken CSV: {error}"))
        if len(rows) != 1 or len(rows[0]) != len(self.columns):
            found = len(rows[0]) if len(rows) == 1 else f"{len(rows)} rows of"
            words = f"broken CSV: {found} cells where the header has {len(self.columns)}"
            return Record(line, raw, problem=Problem(line, NOT_JSON, words))
        cells = zip(self.columns, rows[0], strict=True)
        return Record(line, raw, {name: _cell(name, value) for name, value in cells})

    def pieces(self, chunk: Chunk, targets: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """The records of a chunk with their line endings."""
        line, start, quotes = chunk.line, 0, 0
        data: bytes = chunk.payload
        first = line
        while start < len(data):
            end, quotes = start, 0
            first = line
            while True:
                newline = data.find(b"\n", end)
                stop = newline + 1 if newline >= 0 else len(data)
                quotes += data.count(b'"', end, stop)
                line += newline >= 0
                end = stop
                if not quotes & 1 or newline < 0:
                    break
            yield first, data[start:end]
            start = end

    def splitter(self, paths: Sequence[Path]) -> AbstractContextManager[ByteSplitter]:
        """Open files of the same kind, each with the header."""
        return byte_splitter(self, paths)


def _cell(name: str, value: str) -> Any:
    """A cell; columns that hold message lists in JSON text are parsed."""
    if name in _JSON_COLUMNS and value[:1] in ("[", "{"):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    if name in ("label", "kto_tag"):  # KTO; other labels stay the text they are
        return _LABELS.get(value.lower(), value)
    return value


def _last_record_end(data: bytes) -> int:
    """Position after the last line end that is outside quotes; 0 if there is none."""
    end = data.rfind(b"\n")
    quotes = data.count(b'"', 0, max(end, 0))
    while end >= 0 and quotes & 1:
        before = data.rfind(b"\n", 0, end)
        quotes -= data.count(b'"', max(before, 0), end)
        end = before
    return end + 1
