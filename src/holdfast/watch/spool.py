"""Records on their way to the database: appended to a file first, so that none is lost.

A record is in the operating system's hands before its answer leaves the gateway: it survives
`kill -9`, and waits as long as the database is away. Segments are deleted once they are in.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from holdfast.errors import RunError
from holdfast.files import cannot_write, to_json, write_text

_SEGMENT = 8 << 20
Piece = tuple[str, int, list[dict[str, Any]]]


class Spool:
    """Append-only segments in a folder that one gateway process owns.

    Args:
        folder: Where the segments lie.
        max_bytes: What may wait for the database.

    Several gateways may share one database: `id` tells their segments apart there.
    """

    def __init__(self, folder: str | Path, max_bytes: int) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.id = _identity(self.folder / "spool-id")
            names = [int(path.stem) for path in self._segments()]
            self._waiting = sum(path.stat().st_size for path in self._segments())
            self._number = max(names, default=0)
            self._descriptor, self._size = -1, 0
            self._next()
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def append(self, *records: dict[str, Any]) -> None:
        """Write records in one piece.

        Raises:
            RunError: The disk is full, or too much waits for the database; nothing was kept.
        """
        data = b"".join(to_json(record) + b"\n" for record in records)
        with self._lock:
            if self._waiting + len(data) > self.max_bytes:
                raise RunError("too many records wait for the database", path=self.folder)
            try:
                written = os.write(self._descriptor, data)
                if written < len(data):
                    # A full disk took a part: cut it off, or the next record would be joined to it.
                    os.ftruncate(self._descriptor, self._size)
                    raise OSError(28, "No space left on device")
                self._size += len(data)
                self._waiting += len(data)
                if self._size >= _SEGMENT:
                    self._next()
            except OSError as error:
                raise cannot_write(self.folder, error) from error

    @property
    def waiting(self) -> int:
        """Bytes in all segments."""
        return self._waiting

    def read(
        self, done: dict[str, int], limit: int = 2000
    ) -> Iterator[tuple[str, int, list[dict[str, Any]]]]:
        """Complete records that are not in the database yet.

        Args:
            done: Bytes already taken over, by the name under which a piece was yielded.
            limit: Records per piece.

        Yields:
            The segment's name in the database, the offset after the piece, and its records.
        """
        for path in self._segments():
            name = self._name(path)
            offset = done.get(name, 0)
            with path.open("rb") as handle:
                handle.seek(offset)
                piece: list[dict[str, Any]] = []
                for line in handle:
                    if not line.endswith(b"\n"):
                        break  # still being written, or torn by a crash: it was never accepted
                    offset += len(line)
                    piece.append(orjson.loads(line))
                    if len(piece) >= limit:
                        yield name, offset, piece
                        piece = []
                if piece:
                    yield name, offset, piece

    def drop(self, done: dict[str, int]) -> list[str]:
        """Delete older segments that are wholly in the database; returns their names."""
        dropped = []
        with self._lock:
            for path in self._segments():
                size = path.stat().st_size
                name = self._name(path)
                if int(path.stem) < self._number and done.get(name, 0) >= _complete(path, size):
                    path.unlink()
                    self._waiting -= size
                    dropped.append(name)
        return dropped

    def close(self) -> None:
        """Close the open segment; its records stay."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _name(self, path: Path) -> str:
        return f"{self.id}/{path.name}"

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.jsonl"), key=lambda path: int(path.stem))

    def _next(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._number += 1
        path = self.folder / f"{self._number:08d}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = 0


def _identity(path: Path) -> str:
    """The spool's own name, made once: a folder that is deleted and made again is another spool."""
    known = path.read_text().strip() if path.exists() else ""
    if not known:
        known = secrets.token_hex(8)
        write_text(path, known + "\n")
    return known


def _complete(path: Path, size: int) -> int:
    """Bytes up to the last line end; a torn tail holds no accepted record."""
    with path.open("rb") as handle:
        start = max(0, size - (1 << 20))
        handle.seek(start)
        return start + handle.read().rfind(b"\n") + 1
