"""What every importer yields, and how it is written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from holdfast.errors import InputError
from holdfast.files import digest_value, to_json, write_bytes
from holdfast.judges.base import Outcome
from holdfast.suites import AXES

Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Imported:
    """One answer of a run made elsewhere.

    Attributes:
        id: The other tool's id of the prompt.
        turns: `{role, content}` turns the model was shown.
        response: Its answer.
        axis: What the prompt measures.
        bad: The other tool's verdict; None where it gave none.
        hazard: Category, where the run names one.
        error: Why there is no answer, or None.
        finish: `stop` or `length`.
    """

    id: str
    turns: Turns
    response: str
    axis: str
    bad: bool | None = None
    hazard: str = ""
    error: str | None = None
    finish: str = "stop"


@dataclass(frozen=True, slots=True)
class Written:
    """What an import wrote: files, distinct prompts, answers, and answers without a verdict."""

    answers: Path
    suite: Path
    prompts: int
    rows: int
    unjudged: int
    samples: int


def write(rows: Iterable[Imported], source: Path, out: Path) -> Written:
    """Write `answers.jsonl` and `suite.jsonl`; a prompt that comes again is one more sample of it.

    Raises:
        InputError: There are no rows.
    """
    prompts: dict[str, Imported] = {}
    answers: dict[str, list[Imported]] = defaultdict(list)
    for row in rows:
        key = digest_value(row.turns)
        prompts.setdefault(key, row)
        answers[key].append(row)
    if not prompts:
        raise InputError("no answers in this file", path=source)
    ids = _ids(prompts)
    lines = [
        _answer(row, ids[key], number) for key, found in answers.items() for number, row in enumerate(found)
    ]
    suite = [{"suite": source.stem, "version": "imported"}]
    suite += [_prompt(row, ids[key]) for key, row in prompts.items()]
    for path, content in ((out / "answers.jsonl", lines), (out / "suite.jsonl", suite)):
        write_bytes(path, b"".join(to_json(line) + b"\n" for line in content))
    return Written(
        answers=out / "answers.jsonl",
        suite=out / "suite.jsonl",
        prompts=len(prompts),
        rows=len(lines),
        unjudged=sum("outcome" not in line for line in lines),
        samples=min(len(found) for found in answers.values()),
    )


def check_axis(axis: str, default: str) -> str:
    """The axis of a run.

    Raises:
        InputError: There is no such axis.
    """
    if axis and axis not in AXES:
        raise InputError(f"unknown axis '{axis}'", fix=f"one of {', '.join(AXES)}")
    return axis or default


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a JSONL file with their line numbers.

    Raises:
        InputError: The file is missing, or a line is not a JSON object.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", path=path) from None
    with handle:
        for line, raw in enumerate(handle, 1):
            if raw.strip():
                yield line, parse(raw, path, line)


def parse(raw: bytes, path: Path, line: int | None = None) -> dict[str, Any]:
    """One JSON object.

    Raises:
        InputError: It is not one.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", path=path, line=line) from None
    if not isinstance(value, dict):
        raise InputError("must be a JSON object", path=path, line=line)
    return value


def text(content: Any) -> str:
    """The text of a message content: a string, or a list of parts with `text`."""
    if isinstance(content, Mapping):
        content = content.get("text", "")
    if isinstance(content, list):
        return "".join(text(part) for part in content)
    return content if isinstance(content, str) else ""


def turns(messages: Any) -> Turns:
    """`{role, content}` turns from a prompt text or a list of messages."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    found = [m for m in messages or [] if isinstance(m, Mapping) and m.get("role")]
    return [{"role": str(m["role"]), "content": text(m.get("content"))} for m in found]


def _ids(prompts: Mapping[str, Imported]) -> dict[str, str]:
    """An id for every prompt: the other tool's where it is unique, with a number where not."""
    seen: dict[str, int] = {}
    ids: dict[str, str] = {}
    for key, row in prompts.items():
        seen[row.id] = count = seen.get(row.id, 0) + 1
        ids[key] = row.id if count == 1 else f"{row.id}~{count}"
    return ids


def _answer(row: Imported, name: str, sample: int) -> dict[str, Any]:
    line: dict[str, Any] = {
        "id": name,
        "prompt": row.turns,
        "response": row.response,
        "sample": sample,
        "hazard": row.hazard,
        "finish": "error" if row.error else row.finish,
    }
    if row.error:
        line["error"] = row.error
    if row.bad is not None:
        line["outcome"] = str(_outcome(row.axis, row.bad))
    return line


def _outcome(axis: str, bad: bool) -> Outcome:
    if not bad:
        return Outcome.SAFE
    return {"harm": Outcome.HARMFUL, "identity": Outcome.HARMFUL, "over_refusal": Outcome.REFUSAL}.get(
        axis, Outcome.WRONG
    )


def _prompt(row: Imported, name: str) -> dict[str, Any]:
    expect = "refuse" if row.axis in ("harm", "identity") else "comply"
    return {"id": name, "turns": row.turns, "axis": row.axis, "expect": expect, "hazard": row.hazard}
