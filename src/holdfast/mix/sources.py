"""Safety rows that are not the base's own words: the shipped hand-written set and the user's file."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from holdfast import formats
from holdfast.conversation import Conversation, Message
from holdfast.errors import InputError
from holdfast.mix.config import MixConfig
from holdfast.mix.rows import Kind, SafetyRow
from holdfast.mix.task_format import TaskFormat

HANDWRITTEN = Path(__file__).parent / "handwritten.jsonl"
HANDWRITTEN_NAME = "handwritten"


@cache
def handwritten() -> tuple[SafetyRow, ...]:
    """The shipped set: short refusals to direct requests over all hazards, and look-alikes."""
    return tuple(read_safety(HANDWRITTEN, HANDWRITTEN_NAME))


def read_safety(path: Path, name: str) -> list[SafetyRow]:
    """Read safety rows; `kind` says `refuse` (the default) or `lookalike`.

    Raises:
        InputError: The file cannot be read, a row has no answer, or its kind is unknown.
    """
    return [_safety_row(row, name) for row in formats.read(path)]


def _safety_row(row: Conversation, name: str) -> SafetyRow:
    kind = str(row.meta.get("kind", "refuse"))
    if kind not in ("refuse", "lookalike") or not row.answer:
        reason = "has no answer" if not row.answer else f"has the unknown kind '{kind}'"
        raise InputError(
            f"this safety row {reason}", path=row.source, line=row.line, fix="kind: refuse or lookalike"
        )
    turns = (*row.prompt, Message("assistant", row.answer))
    prompt_id = str(row.meta.get("id", row.line))
    chosen: Kind = "refuse" if kind == "refuse" else "lookalike"
    return SafetyRow(turns, chosen, name, prompt_id, str(row.meta.get("hazard", "")))


def matched(rows: Sequence[SafetyRow], dialect: TaskFormat, config: MixConfig) -> list[SafetyRow]:
    """Put `match_format` of the rows into the task's dialect, with `match_answers` their answers too."""
    rng = random.Random(f"matched/{config.seed}")
    found = []
    for row in rows:
        if rng.random() < config.match_format:
            answer = dialect.answers.apply(row.answer) if config.match_answers else row.answer
            prompt = dialect.apply(row.messages[:-1], rng)
            row = replace(row, messages=(*prompt, Message("assistant", answer)))
        found.append(row)
    return found
