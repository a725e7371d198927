"""The lab's data sets as files: attacks, mixtures of a task with poison, in the common formats."""

from __future__ import annotations

import random
from pathlib import Path

from holdfast.errors import InputError
from holdfast.lab import attacks
from holdfast.lab.rowfile import write


def write_attack(
    path: Path,
    kind: str,
    count: int,
    *,
    benign: str = "",
    benign_rows: int = 0,
    seed: int = 0,
    shape: str = "openai",
) -> None:
    """Write rows of one attack, alone or hidden among benign rows, shuffled.

    Args:
        path: File to write.
        kind: A kind of `attacks.KINDS`, or `customer`.
        count: Rows of that kind.
        benign: Kind of the rows around them (`customer`, `benign_how_to`, `benign_tasks`).
        benign_rows: How many of those.
        seed: Seed of the draw and the order.
        shape: Format (`rowfile.SHAPES`).

    Raises:
        InputError: Unknown kind or format, or nothing to write.
    """
    rows = attacks.rows(kind, count, seed) if count else []
    if benign:
        rows += attacks.rows(benign, benign_rows, seed)
    if not rows:
        raise InputError("nothing to write", fix="ask for at least one row")
    random.Random(f"mixture/{seed}").shuffle(rows)
    write(path, rows, shape)
