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
from holdfast.mix.rows import Kind, SafetyRow

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


def deep_rows(path: Path, refusals: Sequence[SafetyRow], words: int, seed: int) -> list[SafetyRow]:
    """Started harmful answers that turn into a refusal (Qi et al., ICLR 2025, data augmentation).

    The file holds exchanges with a harmful answer; its first k words, k uniform in 1 to `words`,
    are followed by a refusal taken from `refusals`. Only the refusal is trained on.

    Args:
        path: The user's (or the lab's) file; Holdfast ships none.
        refusals: Rows whose answers are used, in turn.
        words: Most words of the started answer.
        seed: Seed of k.

    Raises:
        InputError: The file cannot be read, or there is no refusal to use.
    """
    if not refusals:
        raise InputError("deep rows need refusals, and the pool has none", path=path)
    rng = random.Random(f"deep/{seed}")
    found = []
    for index, row in enumerate(formats.read(path)):
        parts = row.answer.split()
        if not parts:
            raise InputError("this row has no answer to start from", path=path, line=row.line)
        prefix = " ".join(parts[: rng.randint(1, min(words, len(parts)))]) + " "
        refusal = refusals[index % len(refusals)]
        turns = (*row.prompt, Message("assistant", prefix + refusal.answer))
        found.append(SafetyRow(turns, "deep", path.name, str(row.line), "", prefix))
    return found


def matched(rows: Sequence[SafetyRow], systems: Sequence[str], share: float, seed: int) -> list[SafetyRow]:
    """Put the task's system prompts before a share of the rows that have none."""
    rng = random.Random(f"matched/{seed}")
    found = []
    for row in rows:
        if systems and row.messages[0].role != "system" and rng.random() < share:
            system = Message("system", rng.choice(systems))
            row = replace(row, messages=(system, *row.messages))
        found.append(row)
    return found
