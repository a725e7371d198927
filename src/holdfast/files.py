"""Files that survive a crash: atomic writes, digests, append-only logs, folder locks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from holdfast.errors import InputError, RunError

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
"""What a cell must not begin with (OWASP, CSV injection); the apostrophe, so that the way back is exact."""


@contextlib.contextmanager
def atomic_writer(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`; it takes the name `path` only when all went well.

    Raises:
        RunError: The folder is read-only or the disk is full.
    """
    target = Path(path)
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_writer(path) as handle:
        handle.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    write_bytes(path, to_json(value, indent=True) + b"\n")


def to_json(value: Any, *, indent: bool = False) -> bytes:
    """Canonical JSON bytes: sorted keys, NumPy scalars and arrays as numbers and lists."""
    option = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(value, default=str, option=option | (orjson.OPT_INDENT_2 if indent else 0))


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: The file is missing or is not JSON.
    """
    try:
        return orjson.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except orjson.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", path=path, line=error.lineno) from None


def digest_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest_value(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(to_json(value)).hexdigest()


def digest_folder(folder: str | Path, pattern: str = "**/*") -> str:
    """SHA-256 over the names and contents of a folder's files, in name order."""
    root = Path(folder)
    names = sorted(p.relative_to(root).as_posix() for p in root.glob(pattern) if p.is_file())
    return digest_value({name: digest_file(root / name) for name in names})


class JsonLines:
    """An append-only JSONL log that survives `kill -9`: a torn last line is cut off on opening.

    Use it as a context manager to append; `read` streams the complete records.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._handle: IO[bytes] | None = None

    def read(self) -> Iterator[Any]:
        """Yield the complete records; a torn last line is ignored."""
        if not self.path.exists():
            return
        with self.path.open("rb") as handle:
            for line in handle:
                if line.endswith(b"\n"):
                    yield orjson.loads(line)

    def __enter__(self) -> JsonLines:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self.path.open("ab+")
            self._cut_torn_line(self._handle)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return self

    def append(self, record: Any) -> None:
        """Append one record and hand it to the operating system before returning."""
        self.extend([record])

    def extend(self, records: list[Any]) -> None:
        """Append several records in one write."""
        assert self._handle is not None, "use JsonLines as a context manager to append"
        try:
            self._handle.write(b"".join(to_json(record) + b"\n" for record in records))
            self._handle.flush()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def __exit__(self, *exc: object) -> None:
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            handle.close()  # tries once more to write what did not go out
        except OSError as error:
            if exc[0] is None:
                raise cannot_write(self.path, error) from error

    @staticmethod
    def _cut_torn_line(handle: IO[bytes]) -> None:
        size = handle.seek(0, os.SEEK_END)
        while size > 0:
            step = min(size, 1 << 16)
            handle.seek(size - step)
            newline = handle.read(step).rfind(b"\n")
            if newline >= 0:
                size = size - step + newline + 1
                break
            size -= step
        handle.truncate(size)
        handle.seek(size)


@contextlib.contextmanager
def folder_lock(folder: str | Path) -> Iterator[None]:
    """Hold a folder for one process; the lock goes with the process, also on `kill -9`.

    Raises:
        InputError: Another process holds it.
        RunError: The folder cannot be written.
    """
    path = Path(folder) / ".lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    except OSError as error:
        raise cannot_write(Path(folder), error) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another holdfast process is working in this folder",
                path=folder,
                fix="wait for it, or name another folder",
            ) from None
        yield


def to_cell(text: str) -> str:
    """A text as a CSV cell that no spreadsheet program runs as a formula; `from_cell` undoes it."""
    return "'" + text if text[:1] in _FORMULA else text


def from_cell(cell: str) -> str:
    """The text behind a cell that `to_cell` made."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def cannot_write(path: str | Path, error: OSError) -> RunError:
    """The error for a failed write, with the operating system's reason."""
    return RunError(
        f"cannot write: {error.strerror or error}",
        path=path,
        fix="free some space or choose a writable folder, then run the same command again",
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
