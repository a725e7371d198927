"""Rows of a suite file, with their line numbers: JSONL, JSON, CSV or Parquet."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from holdfast.errors import InputError, missing_extra

Row = Mapping[str, Any]


def read_rows(path: str | Path, *, header: tuple[str, ...] | None = None) -> Iterator[tuple[int, Row]]:
    """Yield `(line, row)`; lines count from 1 (array elements in a JSON file).

    Args:
        path: The file.
        header: Column names of a CSV file that has no header row.

    Raises:
        InputError: The file is missing, not UTF-8, or a row is malformed.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("no such file", path=file, fix="name a CSV, JSONL or JSON file")
    kind = file.suffix.lower()
    if kind in (".csv", ".tsv"):
        yield from _csv(file, header)
    elif kind == ".parquet":
        yield from _parquet(file)
    else:
        yield from _json(file) if kind == ".json" else _jsonl(file)


def _csv(file: Path, header: tuple[str, ...] | None = None) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(min(sys.maxsize, 1 << 24))
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    line = 1
    with file.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, strict=True, delimiter=delimiter)
        try:
            names = header or tuple(name.strip() for name in next(reader, ()))
            _check_names(names, file)
            line = reader.line_num + 1
            for cells in reader:
                if cells:
                    yield line, _cells(names, cells, file, line)
                line = reader.line_num + 1
        except csv.Error as error:
            raise InputError(
                f"cannot read this CSV row: {error}",
                path=file,
                line=line,
                fix='put text with commas, quotes or line breaks in "...", and write a quote inside as ""',
            ) from None
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8: {error.reason}", path=file, fix="save the file as UTF-8") from None


def _check_names(names: tuple[str, ...], file: Path) -> None:
    if not any(names):
        raise InputError("the file is empty", path=file)
    other = next((mark for mark in (";", "\t") if len(names) == 1 and mark in names[0]), "")
    if other:
        name = "tabs" if other == "\t" else f"'{other}'"
        fix = "save it with commas (tab-separated files end in .tsv)"
        raise InputError(f"the columns are separated by {name}", path=file, line=1, fix=fix)
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        raise InputError(f"column '{twice[0]}' occurs twice", path=file, line=1, fix="rename one of them")


def _cells(names: tuple[str, ...], cells: list[str], file: Path, line: int) -> Row:
    if len(cells) != len(names):
        raise InputError(
            f"this row has {len(cells)} columns, the header has {len(names)}",
            path=file,
            line=line,
            fix='put text that contains a comma in "..."',
        )
    return dict(zip(names, cells, strict=True))


def _jsonl(file: Path) -> Iterator[tuple[int, Row]]:
    with file.open("rb") as handle:
        for line, raw in enumerate(handle, 1):
            text = raw.removeprefix(b"\xef\xbb\xbf").strip()
            if text:
                yield line, _object(_parse(text, file, line), file, line)


def _json(file: Path) -> Iterator[tuple[int, Row]]:
    value = _parse(file.read_bytes().removeprefix(b"\xef\xbb\xbf"), file, None)
    if isinstance(value, dict) and isinstance(value.get("prompts"), list):
        yield 0, {key: cell for key, cell in value.items() if key != "prompts"}
        value = value["prompts"]
    if not isinstance(value, list):
        fix = "write a list of objects, or an object with a list 'prompts'"
        raise InputError("not a list of prompts", path=file, fix=fix)
    for place, row in enumerate(value, 1):
        yield place, _object(row, file, place)


def _parquet(file: Path) -> Iterator[tuple[int, Row]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise missing_extra("scale", "pyarrow") from None
    try:
        rows = parquet.read_table(file).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"not a readable Parquet file: {str(error).splitlines()[0]}", path=file) from None
    yield from enumerate(rows, 1)


def _parse(text: bytes, file: Path, line: int | None) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", path=file, line=line or error.lineno) from None


def _object(value: Any, file: Path, line: int) -> Row:
    if not isinstance(value, dict):
        raise InputError("a row must be a JSON object", path=file, line=line)
    return value
