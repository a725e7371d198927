"""Raw bytes of one row to one conversation, with every doubt said."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import orjson

from holdfast.conversation import Conversation
from holdfast.formats.problems import (
    DUPLICATE_KEY,
    ENCODING,
    NOT_JSON,
    SURROGATE,
    TOO_LONG,
    Problem,
    ShapeError,
)
from holdfast.formats.shapes import recognise

_SPACED_KEY = re.compile(rb'"\s+:')
_SURROGATE = re.compile("[\ud800-\udfff]")


class Record(NamedTuple):
    """One row as a container holds it.

    Attributes:
        line: Line or row number, counted from 1.
        raw: Its bytes, without line ending or separator.
        value: The parsed row where the container is not text (Parquet, CSV); else None.
        problem: Why it cannot be read, where the container already knows.
    """

    line: int
    raw: bytes
    value: Any = None
    problem: Problem | None = None


def view(record: Record, source: str, max_bytes: int) -> tuple[Conversation | None, list[Problem]]:
    """Read one record.

    Args:
        record: The row.
        source: The file's name, for the conversation.
        max_bytes: Longer rows are not parsed.

    Returns:
        The conversation, or None if it cannot be read, and what is wrong or odd about it.
    """
    line, raw, value, problem = record
    if problem is not None:
        return None, [problem]
    problems: list[Problem] = []
    if len(raw) > max_bytes:
        return None, [Problem(line, TOO_LONG, f"the row has {len(raw):,} bytes; not screened")]
    if value is None:
        try:
            value = _parse(raw, line, problems)
        except ValueError as error:
            return None, [*problems, _why_not_json(line, raw, error)]

    def note(code: str, words: str) -> None:
        problems.append(Problem(line, code, words, fatal=False))

    try:
        name, messages, rejected, meta = recognise(value, note)
    except ShapeError as error:
        return None, [*problems, Problem(line, error.code, str(error))]
    if meta:
        return Conversation(messages, source, line, raw, rejected, name, meta), problems
    return Conversation(messages, source, line, raw, rejected, name), problems


def _parse(raw: bytes, line: int, problems: list[Problem]) -> Any:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = _parse_leniently(raw, line, problems)
    # A key of an object ends in `":`; as many of those as keys means that none came twice.
    ends = raw.count(b'":')
    if (ends != _count_shallow(value) and ends != _count_keys(value)) or _SPACED_KEY.search(raw):
        twice = _duplicate_key(raw)
        if twice is not None:
            words = f"the field {twice[:40]!r} occurs twice in one object: readers differ in which they use"
            problems.append(Problem(line, DUPLICATE_KEY, words, fatal=False))
    return value


def _parse_leniently(raw: bytes, line: int, problems: list[Problem]) -> Any:
    """What Python's own reader accepts beyond strict JSON: lone surrogates, NaN, deep nesting."""
    try:
        value = json.loads(raw.decode("utf-8"))
        if _has_surrogate(value):
            words = "half of a surrogate pair in the text: most trainers stop at it"
            problems.append(Problem(line, SURROGATE, words, fatal=False))
            value = _replace_surrogates(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _why_not_json(line: int, raw: bytes, error: ValueError) -> Problem:
    if isinstance(error, UnicodeDecodeError):
        return Problem(line, ENCODING, f"not UTF-8: byte 0x{raw[error.start]:02x} at byte {error.start + 1}")
    if b"\x00" in raw:
        return Problem(line, NOT_JSON, f"a NUL byte at byte {raw.index(0) + 1}")
    if isinstance(error, json.JSONDecodeError):
        return Problem(line, NOT_JSON, f"broken JSON: {error.msg} at character {error.pos + 1}")
    return Problem(line, NOT_JSON, f"broken JSON: {error}")


def _count_shallow(value: Any) -> int:
    """Keys of an object and of the objects in its first list: all there are in most rows."""
    if type(value) is not dict:
        return -1
    for item in value.values():
        if type(item) is list:
            return len(value) + sum([len(part) for part in item if type(part) is dict])
    return len(value)


def _count_keys(value: Any) -> int:
    count, stack = 0, [value]
    while stack:
        item = stack.pop()
        if type(item) is dict:
            count += len(item)
            stack.extend([v for v in item.values() if type(v) is dict or type(v) is list])
        elif type(item) is list:
            stack.extend([v for v in item if type(v) is dict or type(v) is list])
    return count


def _duplicate_key(raw: bytes) -> str | None:
    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items) and not found:
            seen: set[str] = set()
            found.append(next(k for k, _ in items if k in seen or seen.add(k)))  # type: ignore[func-returns-value]
        return result

    try:
        json.loads(raw, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return None
    return found[0] if found else None


def _has_surrogate(value: Any) -> bool:
    return _SURROGATE.search(json.dumps(value, ensure_ascii=False)) is not None


def _replace_surrogates(value: Any) -> Any:
    return json.loads(_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
