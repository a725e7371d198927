"""Answers that were generated elsewhere, from a JSONL or CSV file."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from holdfast.conversation import Message
from holdfast.errors import InputError
from holdfast.files import digest_file
from holdfast.models.base import Completion, Decoding, Finish, Identity, Progress, Prompt, collect, failed

_ROLES = ("system", "user", "assistant", "tool")
_FINISHES: tuple[Finish, ...] = ("stop", "length", "error")


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded answer; `sample` is None where the file does not number its samples."""

    prompt: Prompt
    completion: Completion
    id: str = ""
    suite: str = ""
    hazard: str = ""
    sample: int | None = None
    line: int = 0


class RecordedModel:
    """A generator that looks its answers up; a prompt that was not recorded is an error, counted.

    A prompt matches by its messages and prefill, character by character.

    Raises:
        InputError: The file is missing, empty, or a row is not a recorded answer.
    """

    def __init__(self, path: str | Path, ref: str = "") -> None:
        self.path = Path(path)
        self.records = read_records(self.path)
        self._answers: dict[Prompt, dict[int, Completion]] = {}
        for record in self.records:
            answers = self._answers.setdefault(record.prompt, {})
            number = len(answers) if record.sample is None else record.sample
            if number in answers:
                raise InputError(
                    f"a second answer to the same prompt with sample {number}",
                    path=self.path,
                    line=record.line,
                    fix="number the samples of a prompt 0, 1, 2, ...",
                )
            answers[number] = record.completion
        self._identity = Identity(ref or f"recorded:{path}", digest_file(self.path), backend="recorded")

    @property
    def identity(self) -> Identity:
        return self._identity

    def stream(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        for index, prompt in enumerate(prompts):
            answers = self._answers.get(prompt, {})
            missing = failed(f"no recorded answer in {self.path.name}")
            yield index, tuple(answers.get(number, missing) for number in range(decoding.samples))
            if progress is not None:
                progress(1)

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        return collect(self.stream(prompts, decoding, progress), len(prompts))


def read_records(path: str | Path) -> list[Record]:
    """Read recorded answers from JSONL or CSV.

    Raises:
        InputError: The file is missing or empty, or a row lacks a prompt or a response.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("no such file", path=file, fix="name a JSONL or CSV file with prompt and response")
    rows = _csv_rows(file) if file.suffix.lower() == ".csv" else _json_rows(file)
    records = [_record(row, file, line) for line, row in rows]
    if not records:
        raise InputError("no recorded answers in this file", path=file)
    return records


def _json_rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with file.open("rb") as handle:
        for line, raw in enumerate(handle, 1):
            if not raw.strip():
                continue
            try:
                row = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
            except orjson.JSONDecodeError as error:
                raise InputError(f"not valid JSON: {error.msg}", path=file, line=line) from None
            if not isinstance(row, dict):
                raise InputError("a row must be a JSON object", path=file, line=line)
            yield line, row


def _csv_rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with file.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle, strict=True)
        line = 2
        try:
            for row in reader:
                yield line, row
                line = reader.line_num + 1
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"cannot read CSV: {error}", path=file, line=line) from None


def _record(row: Mapping[str, Any], file: Path, line: int) -> Record:
    messages = _messages(row.get("prompt"), file, line)
    finish = row.get("finish") or "stop"
    if finish not in _FINISHES:
        raise InputError(f"finish '{finish}' is not one of {', '.join(_FINISHES)}", path=file, line=line)
    response = row.get("response")
    if response is None and finish != "error":
        raise InputError("no 'response'", path=file, line=line, fix="add the answer; '' if it was empty")
    sample = row.get("sample")
    try:
        number = None if sample in (None, "") else int(str(sample))
    except ValueError:
        raise InputError(f"sample '{sample}' is not a whole number", path=file, line=line) from None
    text = str(response or "")
    return Record(
        prompt=Prompt(messages, str(row.get("prefill") or "")),
        completion=Completion(text, finish, error=_reason(row) if finish == "error" else None),
        id=str(row.get("id") or ""),
        suite=str(row.get("suite") or ""),
        hazard=str(row.get("hazard") or ""),
        sample=number,
        line=line,
    )


def _reason(row: Mapping[str, Any]) -> str:
    return str(row.get("error") or "recorded as an error")


def _messages(prompt: Any, file: Path, line: int) -> tuple[Message, ...]:
    if isinstance(prompt, str) and prompt.lstrip().startswith('[{"'):
        with contextlib.suppress(orjson.JSONDecodeError):
            prompt = orjson.loads(prompt)  # a CSV cell that holds the messages as JSON
    if isinstance(prompt, str) and prompt.strip():
        return (Message("user", prompt),)
    if isinstance(prompt, list) and prompt and all(_is_turn(turn) for turn in prompt):
        return tuple(Message(turn["role"], turn.get("content") or "") for turn in prompt)
    raise InputError(
        "no 'prompt'",
        path=file,
        line=line,
        fix="give the prompt as text or as a list of {role, content} turns",
    )


def _is_turn(turn: Any) -> bool:
    return (
        isinstance(turn, dict) and turn.get("role") in _ROLES and isinstance(turn.get("content"), str | None)
    )
