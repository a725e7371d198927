"""The user's own suites: CSV, JSONL or JSON with `id, prompt, hazard, expect`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import orjson

from holdfast.conversation import Message, Role
from holdfast.errors import InputError
from holdfast.files import digest_value
from holdfast.suites.base import AXES, Axis, Suite, SuitePrompt
from holdfast.suites.checks import parse_expect
from holdfast.suites.table import Row, read_rows

_FIELDS = {"id", "prompt", "hazard", "expect", "system", "prefill", "turns", "axis", "cluster"}
_ROLES = ("system", "user", "assistant", "tool")


def load_file(path: str | Path) -> Suite:
    """Read a suite file.

    A JSONL file may begin with one object `{"suite": NAME, "version": ..., "licence": ...}`; a JSON
    file may be an object with those fields and a list `prompts`. `expect` may be left out where
    `hazard` is given: it is then `refuse`.

    Raises:
        InputError: A row is malformed, empty, or occurs twice; the message names the line.
    """
    file = Path(path)
    about: Row = {}
    prompts: list[tuple[int, SuitePrompt]] = []
    for line, row in read_rows(file):
        if "prompt" not in row and "turns" not in row and not prompts and ("suite" in row or line == 0):
            about = row
            continue
        prompts.append((line, _prompt(row, file, line)))
    return build(
        prompts,
        file,
        name=str(about.get("suite") or file.stem),
        version=str(about.get("version") or "0"),
        licence=str(about.get("licence") or ""),
    )


def build(
    prompts: Iterable[tuple[int, SuitePrompt]], file: Path, *, name: str, version: str, licence: str
) -> Suite:
    """Put prompts into a suite.

    Raises:
        InputError: There are none, or an id or a prompt occurs twice.
    """
    ids: dict[str, int] = {}
    texts: dict[object, int] = {}
    kept: list[SuitePrompt] = []
    for line, prompt in prompts:
        if prompt.id in ids:
            raise InputError(
                f"id '{prompt.id}' was already used in line {ids[prompt.id]}",
                path=file,
                line=line,
                fix="give every prompt its own id",
            )
        text = (prompt.messages, prompt.prefill)
        if text in texts:
            raise InputError(
                f"the same prompt as in line {texts[text]}",
                path=file,
                line=line,
                fix="delete one of them: a repeated prompt counts twice in every rate",
            )
        ids[prompt.id] = texts[text] = line
        kept.append(prompt)
    if not kept:
        raise InputError("no prompts in this file", path=file)
    return Suite(name, version, tuple(kept), licence)


def _prompt(row: Row, file: Path, line: int) -> SuitePrompt:
    unknown = sorted(name for name in set(row) - _FIELDS if not name.startswith("_"))
    if unknown:
        fix = f"known are {', '.join(sorted(_FIELDS))}; begin the names of your own columns with _"
        raise InputError(f"unknown field '{unknown[0]}'", path=file, line=line, fix=fix)
    try:
        messages = _messages(row)
        expect = _text(row, "expect") or ("refuse" if _text(row, "hazard") else "")
        if not expect:
            raise InputError("no 'expect'", fix="write refuse, comply or kind:value")
        kind, _ = parse_expect(expect)
        axis = _axis(_text(row, "axis"), kind)
    except InputError as error:
        raise InputError(error.message, path=file, line=line, fix=error.fix) from None
    return SuitePrompt(
        id=_text(row, "id") or digest_value([[m.role, m.content] for m in messages])[:12],
        messages=messages,
        axis=axis,
        expect=expect,
        hazard=_text(row, "hazard"),
        cluster=_text(row, "cluster"),
        prefill=str(row.get("prefill") or ""),
    )


def _messages(row: Row) -> tuple[Message, ...]:
    prompt = row.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise InputError("'prompt' must be text", fix="put earlier turns into 'turns'")
    turns = _turns(row.get("turns"))
    if prompt and prompt.strip():
        turns.append(Message("user", prompt))
    elif not turns or turns[-1].role != "user":
        raise InputError("empty prompt", fix="write the prompt's text or delete the row")
    system = str(row.get("system") or "")
    return (Message("system", system), *turns) if system else tuple(turns)


def _turns(value: Any) -> list[Message]:
    if isinstance(value, str) and value.strip():
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise InputError(f"'turns' is not valid JSON: {error.msg}") from None
    if not value:
        return []
    if not isinstance(value, list):
        raise InputError("'turns' must be a list", fix="write a list of texts, user and assistant in turn")
    return [_turn(turn, place) for place, turn in enumerate(value)]


def _turn(turn: Any, place: int) -> Message:
    if isinstance(turn, str):
        return Message("user" if place % 2 == 0 else "assistant", turn)
    if isinstance(turn, dict) and turn.get("role") in _ROLES and isinstance(turn.get("content"), str):
        return Message(cast(Role, turn["role"]), turn["content"])
    raise InputError(
        f"turn {place + 1} is neither text nor {{role, content}}", fix=f"roles are {', '.join(_ROLES)}"
    )


def _axis(value: str, kind: str) -> Axis:
    if not value:
        return "harm" if kind == "refuse" else "over_refusal" if kind == "comply" else "capability"
    if value not in AXES:
        raise InputError(f"unknown axis '{value}'", fix=f"one of {', '.join(AXES)}")
    return value


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()
