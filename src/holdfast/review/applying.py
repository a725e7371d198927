"""The decided rows of a review file, written beside the clean ones (no database needed)."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from holdfast.errors import InputError
from holdfast.files import atomic_writer, write_bytes
from holdfast.formats import open_file
from holdfast.review.choice import Choice
from holdfast.review.texts import row_key

if TYPE_CHECKING:
    from holdfast.formats import DataFile, Record
    from holdfast.review.store import Store

CLEAN_LABELS = ("safe", "refusal")
"""A relabelled training row goes to the clean set only under one of these labels."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of the rows of a review file."""

    kept: int = 0
    edited: int = 0
    dropped: int = 0
    undecided: int = 0


def apply(
    review_file: str | Path,
    decided: str | Path | Store,
    out: str | Path,
    *,
    clean: str | Path | None = None,
) -> Applied:
    """Write the rows that people decided to keep; undecided and disputed rows stay out.

    Args:
        review_file: The screen's review file.
        decided: A CSV with `key` and `decision` (as `holdfast review decide --write` makes it),
            or the store.
        out: The file to write: `clean`'s bytes if given, then the kept rows byte for byte in
            order, edited rows in their new form.
        clean: The screen's clean file.

    Raises:
        InputError: A file cannot be read, or two decisions of the CSV contradict each other.
    """
    from holdfast.review.exporting import standing_verdicts

    review = Path(review_file)
    verdicts = read_verdicts(decided) if isinstance(decided, str | Path) else standing_verdicts(decided)
    counts = dict.fromkeys(("kept", "edited", "dropped", "undecided"), 0)

    def kept(raw: bytes) -> bytes | None:
        action, label, edited = verdicts.get(row_key(raw), ("", "", ""))
        kind, row = resolve(action, label, edited, raw)
        counts[kind] += 1
        return row

    source, first = _opened(review), _opened(Path(clean)) if clean else None
    if source is None:
        write_bytes(out, Path(clean).read_bytes() if clean and first else b"")
    elif source.kind == "jsonl":
        _apply_lines(review, Path(out), kept, Path(clean) if clean else None)
    else:
        _apply_split(source, first, Path(out), kept)
    return Applied(**counts)


def resolve(action: str, label: str, edited: str, raw: bytes) -> tuple[str, bytes | None]:
    """What becomes of a row (`kept`, `edited`, `dropped`, `undecided`) and the bytes to write, if any."""
    if action == "keep" or (action == "relabel" and label in CLEAN_LABELS):
        return "kept", raw
    if action == "edit":
        return "edited", edited.encode()
    return ("dropped" if action else "undecided"), None


def _apply_lines(review: Path, out: Path, kept: Callable[[bytes], bytes | None], clean: Path | None) -> None:
    with atomic_writer(out) as handle:
        for record in records(clean) if clean is not None else ():
            handle.write(record.raw + b"\n")
        for record in records(review):
            row = kept(record.raw)
            if row is not None:
                handle.write(row + b"\n")


def _apply_split(
    source: DataFile, first: DataFile | None, out: Path, kept: Callable[[bytes], bytes | None]
) -> None:
    """Other containers: the file's own writer gives clean rows to `out`, then the kept ones."""
    rest = out.with_name(f".{out.name}.rest")
    try:
        with source.splitter([out, rest]) as splitter:
            for chunk in first.chunks(1 << 20) if first is not None else ():
                splitter.add(chunk, cast(Sequence[int], _Targets(0)))
            for chunk in source.chunks(1 << 20):
                targets = _Targets(1)
                for record in source.records(chunk):
                    row = kept(record.raw)
                    if row is not None and row != record.raw:
                        raise InputError(
                            "an edited row cannot be written into this kind of file",
                            path=source.path,
                            line=record.line,
                            fix="convert the data to JSONL, or keep or drop the row",
                        )
                    targets[record.line] = int(row is None)
                splitter.add(chunk, cast(Sequence[int], targets))
    finally:
        with contextlib.suppress(FileNotFoundError):
            rest.unlink()


class _Targets(dict[int, int]):
    """File number by line, as a splitter asks for it; blank lines go to the default."""

    def __init__(self, default: int) -> None:
        super().__init__()
        self._default = default

    def __missing__(self, line: int) -> int:
        return self._default


def read_verdicts(path: str | Path) -> dict[str, tuple[str, str, str]]:
    """Action, label and edited row of a decisions CSV, by row key.

    Raises:
        InputError: A wrong line, or two lines that decide the same row differently.
    """
    verdicts: dict[str, tuple[str, str, str]] = {}
    for line, row in decided_rows(path, ("key", "decision")):
        try:
            choice = Choice(row["decision"], row.get("label", ""), row.get("edited", "")).checked()
        except InputError as error:
            raise InputError(error.message, path=path, line=line, fix=error.fix) from None
        verdict = (choice.action, choice.label, choice.edited)
        if verdicts.setdefault(row["key"], verdict) != verdict:
            raise InputError("an earlier line decides the same row differently", path=path, line=line)
    return verdicts


def decided_rows(path: str | Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows that hold a decision, with the line they end on."""
    csv.field_size_limit(1 << 27)
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"no column '{missing[0]}'", path=path, line=1)
            for row in reader:
                cells = {k: _plain(v) for k, v in row.items() if k is not None and isinstance(v, str)}
                if cells.get("decision", "").strip():
                    cells["decision"] = cells["decision"].strip().lower()
                    yield reader.line_num, cells
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", path=path, fix="save it as CSV UTF-8") from None
    except csv.Error as error:
        raise InputError(f"broken CSV: {error}", path=path) from None


def _plain(value: str) -> str:
    return value[1:] if value[:1] == "'" else value


def records(path: Path) -> Iterator[Record]:
    """The rows of a data file as its container holds them; none for an empty file."""
    file = _opened(path)
    if file is not None:
        for chunk in file.chunks(1 << 20):
            yield from file.records(chunk)


def _opened(path: Path) -> DataFile | None:
    """The file, or None if it holds no row: a screen that sends nobody anything leaves such files."""
    if path.is_file() and path.stat().st_size == 0:
        return None
    try:
        return open_file(path)
    except InputError as error:
        if error.message == "the file is empty":  # compressed, or only a header
            return None
        raise
