"""Which container is this file? Decided by its first bytes, not by its name."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import orjson

from holdfast.errors import InputError
from holdfast.formats.array import ArrayFile
from holdfast.formats.columns import folder_parts, open_columns
from holdfast.formats.container import DataFile
from holdfast.formats.lines import BOM, LinesFile
from holdfast.formats.shapes import _ANSWER_KEYS, _PROMPT_KEYS
from holdfast.formats.streams import GZIP, ZSTD, Blocks
from holdfast.formats.table import TableFile

_HEAD = 1 << 16
_ENDINGS = (".jsonl", ".json", ".ndjson", ".csv", ".tsv")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_KNOWN_COLUMNS = frozenset(
    (
        *_PROMPT_KEYS,
        *_ANSWER_KEYS,
        "messages",
        "conversations",
        "contents",
        "segments",
        "text",
        "chosen",
        "rejected",
        "context",
    )
)
_KINDS = "JSONL, a JSON array, CSV, Parquet (also .gz, .zst) or a Hugging Face data folder"


def open_file(path: str | Path) -> DataFile:
    """Open a data file or folder of any known container.

    Raises:
        InputError: It is missing, empty, binary, in another encoding, or no known container.
    """
    path = Path(path)
    if path.is_dir():
        texts = _text_files(path)
        if len(texts) == 1:
            return open_file(texts[0])
        if texts:
            shown = ", ".join(text.relative_to(path).as_posix() for text in texts[:5])
            raise InputError(f"the folder has several data files: {shown}", path=path, fix="name one of them")
        return open_columns(path, folder_parts(path))
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
        size = path.stat().st_size
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror or error}", path=path) from error
    if (
        head[:4] == b"PAR1"
        or head[:6] == b"ARROW1"
        or (head[:4] == b"\xff\xff\xff\xff" and path.suffix == ".arrow")
    ):
        return open_columns(path, [path])
    compression = "gzip" if head[:2] == GZIP else "zstd" if head[:4] == ZSTD else ""
    if compression:
        head = _first_block(path, compression)
    _check_text(path, head, size)
    bom = BOM if head.startswith(BOM) else b""
    text = head[len(bom) :].lstrip()
    names = [suffix for suffix in path.suffixes if suffix in _ENDINGS]
    ending = {"gzip": ".gz", "zstd": ".zst"}.get(compression, "")
    if text[:1] == b"[" and not _is_list_per_line(text, names):
        return ArrayFile(path, f".json{ending}", compression, size, lead=len(bom))
    if text[:1] in (b"{", b"[") or (names and names[-1] in (".jsonl", ".ndjson", ".json")):
        _check_one_per_line(path, text)
        return LinesFile(path, f"{names[-1] if names else '.jsonl'}{ending}", compression, size, head=bom)
    table = _table(path, head, bom, names, compression, ending, size)
    if table is None:
        raise InputError("no known kind of data file", path=path, fix=f"use {_KINDS}")
    return table


def _text_files(folder: Path) -> list[Path]:
    """The JSONL, JSON and CSV files of a folder without Parquet or Arrow files (a hub snapshot)."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if any(path.suffix in (".parquet", ".arrow") for path in files):
        return []
    about = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
    return [path for path in files if set(path.suffixes) & set(_ENDINGS) and path.name not in about]


def _first_block(path: Path, compression: str) -> bytes:
    blocks = Blocks(path, compression)
    head = b""
    for block in blocks:
        head += block
        if len(head) >= _HEAD:
            break
    if not head and blocks.torn:
        raise InputError(
            f"{blocks.torn}: nothing can be read", path=path, fix="copy or download the file again"
        )
    return head[:_HEAD]


def _check_text(path: Path, head: bytes, size: int) -> None:
    if not head.strip(b" \t\r\n\x00" + BOM) and size <= _HEAD:
        raise InputError("the file is empty", path=path, fix="name a file with at least one row")
    zeros = head.count(0)
    if head[:2] in _UTF16 or (
        zeros > 0.2 * len(head) and max(head[::2].count(0), head[1::2].count(0)) > 0.9 * zeros
    ):
        raise InputError(
            "the file is UTF-16, trainers read UTF-8",
            path=path,
            line=1,
            fix=f"iconv -f UTF-16 -t UTF-8 {path.name} > utf8{path.suffix}",
        )
    if len(_CONTROL.findall(head)) > max(16, len(head) // 20):
        raise InputError("a binary file", path=path, fix=f"use {_KINDS}")


def _is_list_per_line(text: bytes, names: list[str]) -> bool:
    """Whether each line is one conversation as a bare list, as some JSONL files have it."""
    first = text.split(b"\n", 1)[0]
    if not names or names[-1] not in (".jsonl", ".ndjson"):
        return False
    try:
        value = orjson.loads(first)
    except orjson.JSONDecodeError:
        return False
    return bool(value) and all(
        isinstance(item, dict) and ("role" in item or "from" in item) for item in value
    )


def _check_one_per_line(path: Path, text: bytes) -> None:
    """Refuse an object that is printed over several lines: no trainer reads it as JSONL."""
    first, _, rest = text.partition(b"\n")
    indented = rest[:1] in (b" ", b"\t") or rest.lstrip().startswith(b'"')
    if first.rstrip().endswith((b"{", b"[", b",")) and indented:
        raise InputError(
            "JSON objects over several lines are neither JSONL nor a JSON array",
            path=path,
            line=1,
            fix=f"jq -c . {path.name} > lines.jsonl",
        )


def _table(
    path: Path, head: bytes, bom: bytes, names: list[str], compression: str, ending: str, size: int
) -> TableFile | None:
    end = head.find(b"\n") + 1 or len(head)
    try:
        line = head[len(bom) : end].decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("the file is not UTF-8", path=path, line=1, fix="convert it with iconv") from error
    named = bool(names) and names[-1] in (".csv", ".tsv")
    for delimiter in ("\t", ",", ";", "|"):
        columns = next(csv.reader(io.StringIO(line), delimiter=delimiter), [])
        stripped = tuple(column.strip().lstrip("\ufeff") for column in columns)
        if set(stripped) & _KNOWN_COLUMNS and (len(columns) > 1 or named):
            suffix = ".tsv" if delimiter == "\t" else ".csv"
            return TableFile(path, suffix + ending, compression, size, head[:end], delimiter, stripped)
    if named:
        raise InputError(
            f"none of its columns is known: {line[:120]!r}",
            path=path,
            line=1,
            fix="name them as a trainer does, for example prompt,completion or instruction,input,output",
        )
    return None
