"""Fine-tuning files of every common format, recognised and streamed.

`read` gives conversations; `open_file` gives the container, for code that hands out chunks
of rows and writes rows back byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from holdfast.conversation import Conversation
from holdfast.errors import InputError
from holdfast.formats.container import Chunk, DataFile, Splitter
from holdfast.formats.detect import open_file
from holdfast.formats.problems import OnProblem, Problem
from holdfast.formats.rows import Record, view

__all__ = ["Chunk", "DataFile", "Problem", "Record", "Splitter", "open_file", "read", "view"]

MAX_ROW_BYTES = 32 << 20


def read(path: str | Path, *, on_problem: OnProblem | None = None) -> Iterator[Conversation]:
    """Stream the conversations of a data file or folder.

    Args:
        path: JSONL, JSON array, CSV, Parquet, Arrow (plain, gzip, zstd) or a data folder.
        on_problem: Called with every row that cannot be read or is doubtful; the reading goes
            on. Without it the first row that cannot be read is an error.

    Raises:
        InputError: The file cannot be read at all, or (without `on_problem`) a row cannot.
    """
    file = open_file(path)
    for chunk in file.chunks(1 << 20):
        for record in file.records(chunk):
            conversation, problems = view(record, str(path), MAX_ROW_BYTES)
            for problem in problems:
                if on_problem is not None:
                    on_problem(problem)
                elif problem.fatal:
                    raise InputError(
                        problem.message,
                        path=path,
                        line=problem.line,
                        fix="correct or remove the row, or run holdfast screen first",
                    )
            if conversation is not None:
                yield conversation
