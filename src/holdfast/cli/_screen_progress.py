"""The progress of a screening: rows, rows per second, share of the file and time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from holdfast.cli.console import err


@contextmanager
def screening(file: Path) -> Iterator[Callable[[int, int], None]]:
    """Show a bar over the file's bytes (rows, for Parquet) with the rate in rows."""
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

        def step(rows: int, size: int) -> None:
            state = bar.tasks[0]
            done = state.fields["rows"] + rows
            elapsed = state.elapsed or 0.0
            bar.update(task, advance=size, rows=done, rate=done / elapsed if elapsed else 0.0)

        yield step
