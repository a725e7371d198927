"""Bytes of a plain, gzip or zstd file, block by block; a torn end is reported, not raised."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from holdfast.errors import InputError, missing_extra

_READ = 1 << 18
_PACKED = 1 << 14
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Blocks:
    """The decompressed blocks of a file.

    Attributes:
        read: Compressed bytes read so far (for progress).
        torn: Why the stream ended early, or None; known when the blocks are exhausted.
    """

    def __init__(self, path: Path, compression: str) -> None:
        self.path = path
        self.compression = compression
        self.read = 0
        self.torn: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as handle:
                if self.compression:
                    yield from self._decompressed(handle)
                else:
                    while block := self._next(handle):
                        yield block
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror or error}", path=self.path) from error

    def _next(self, handle: IO[bytes], most: int = _READ) -> bytes:
        block = handle.read(most)
        self.read += len(block)
        return block

    def _decompressed(self, handle: IO[bytes]) -> Iterator[bytes]:
        """Several members or frames one after the other are one stream."""
        start, broken = _decompressor(self.compression)
        machine = start()
        fresh, rest, member = True, b"", 0
        while block := rest or self._next(handle, _PACKED):
            here = handle.tell() - len(block)
            if fresh:
                member = here
            try:
                data = machine.decompress(block)
            except broken:
                self.torn = f"the {self.compression} stream is damaged"
                yield _before_damage(handle, member, here, len(block), start(), broken)
                return
            for at in range(0, len(data), _READ):
                yield data[at : at + _READ]
            fresh, rest = False, b""
            if machine.eof:
                rest, machine, fresh = machine.unused_data.lstrip(b"\x00"), start(), True
        if not fresh:
            self.torn = f"the {self.compression} stream ends in the middle"


def _before_damage(handle: IO[bytes], member: int, here: int, size: int, machine: Any, broken: Any) -> bytes:
    """What the damaged block still gives: its member is read again, the block byte by byte.

    A machine that stops with an error keeps to itself what it had decompressed in that call.
    """
    handle.seek(member)
    while (left := here - handle.tell()) > 0:
        machine.decompress(handle.read(min(left, _PACKED)))
    data = b""
    with contextlib.suppress(broken):
        for byte in handle.read(size):
            data += machine.decompress(bytes([byte]))
    return data


def _decompressor(compression: str) -> tuple[Callable[[], Any], Any]:
    if compression == "gzip":
        return (lambda: zlib.decompressobj(wbits=31)), zlib.error
    try:
        import zstandard
    except ImportError:
        raise missing_extra("scale", "zstandard") from None
    return (lambda: zstandard.ZstdDecompressor().decompressobj()), zstandard.ZstdError


def compressed_writer(handle: IO[bytes], compression: str) -> IO[bytes]:
    """A writer that compresses into `handle` as the input was compressed."""
    if compression == "gzip":
        import gzip

        # No name and no time: the same rows give the same file.
        return gzip.GzipFile(filename="", fileobj=handle, mode="wb", compresslevel=6, mtime=0)  # type: ignore[return-value]
    import zstandard

    writer: IO[bytes] = zstandard.ZstdCompressor(level=3).stream_writer(handle, closefd=False)
    return writer
