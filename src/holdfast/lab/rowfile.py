"""Conversations as files in the common fine-tuning formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from holdfast.conversation import Message
from holdfast.errors import InputError
from holdfast.files import to_json, write_bytes

Row = tuple[Message, ...]


def write_openai(path: Path, rows: Sequence[Row]) -> None:
    """Write OpenAI chat JSONL."""
    write(path, rows, "openai")


def write(path: Path, rows: Sequence[Row], shape: str) -> None:
    """Write rows as JSONL in one of the `SHAPES`.

    Raises:
        InputError: No such shape, or a row has more turns than it can hold.
    """
    if shape not in SHAPES:
        raise InputError(f"unknown format '{shape}'", fix=f"one of {', '.join(SHAPES)}")
    write_bytes(path, b"".join(to_json(SHAPES[shape](row)) + b"\n" for row in rows))


def _openai(row: Row) -> dict[str, Any]:
    return {"messages": [{"role": m.role, "content": m.content} for m in row]}


def _sharegpt(row: Row) -> dict[str, Any]:
    speaker = {"system": "system", "user": "human", "assistant": "gpt"}
    return {"conversations": [{"from": speaker[m.role], "value": m.content} for m in row]}


def _alpaca(row: Row) -> dict[str, Any]:
    system, user, answer = _single(row)
    return {"instruction": user, "input": "", "output": answer, **({"system": system} if system else {})}


def _prompt_completion(row: Row) -> dict[str, Any]:
    system, user, answer = _single(row)
    return {"prompt": f"{system}\n\n{user}" if system else user, "completion": answer}


def _single(row: Row) -> tuple[str, str, str]:
    texts = {m.role: m.content for m in row}
    if len(texts) != len(row) or row[-1].role != "assistant":
        raise InputError("this format holds one question and one answer", fix="write openai or sharegpt")
    return texts.get("system", ""), texts["user"], texts["assistant"]


SHAPES: dict[str, Callable[[Row], dict[str, Any]]] = {
    "openai": _openai,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt": _prompt_completion,
}
