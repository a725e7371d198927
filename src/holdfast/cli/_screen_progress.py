"""The progress of a screening: rows, rows per second, share of the file and time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from holdfast.cli.console import err


@contextmanager
def screening(file: Path) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show a bar over the file's bytes with the rate in rows; yields what to call with each."""
    from holdfast.formats import open_file

    columns = (
        TextColumn("screen {task.fields[rows]:,} rows"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]:,.0f} rows/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("screen", total=open_file(file).size or None, rows=0, rate=0.0)

        def rows(finished: int) -> None:
            state = bar.tasks[0]
            done = state.fields["rows"] + finished
            elapsed = state.elapsed or 0.0
            bar.update(task, rows=done, rate=done / elapsed if elapsed else 0.0)

        yield rows, lambda finished: bar.advance(task, finished)
