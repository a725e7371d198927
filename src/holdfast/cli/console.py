"""What every verb shares: output that is rich on a terminal, plain in a pipe, JSON on request."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from holdfast.files import to_json

# In a pipe there is no width to fit, and a narrow default would break tables.
_WIDE = 160
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else _WIDE)


def print_json(value: Any) -> None:
    """Print one JSON object to standard output."""
    sys.stdout.buffer.write(to_json(value, indent=True) + b"\n")
    sys.stdout.flush()


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show progress with rate and time left on a terminal; one plain line at the end otherwise.

    Yields a function that is called with the number of units finished.
    """
    if not err.is_terminal:
        done = 0

        def count(n: int) -> None:
            nonlocal done
            done += n

        yield count
        err.print(f"{label}: {done}" + (f"/{total}" if total is not None else ""))
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from holdfast.cli._rate import RateColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)
