"""The three files of rows: kept, for people, in quarantine; each row's bytes as they came."""

from __future__ import annotations

from pathlib import Path

from holdfast.files import atomic_writer, to_json, write_json
from holdfast.formats import DataFile
from holdfast.screen.report import ScreenReport, public

NAMES = ("clean", "review", "quarantine")


def row_paths(file: DataFile, out: Path) -> dict[str, Path]:
    """Where the rows go, in the container of the input."""
    return {name: out / f"{name}{file.suffix}" for name in NAMES}


def split_rows(file: DataFile, out: Path, targets: bytearray, size: int) -> None:
    """Write every row of `file` to one of the three files, in order and unchanged.

    Args:
        file: The input.
        out: The output folder.
        targets: By line: 0 keep, 1 review, 2 block.
        size: Bytes per chunk.

    Raises:
        RunError: The folder cannot be written; then none of the three files appears.
    """
    with file.splitter(list(row_paths(file, out).values())) as splitter:
        for chunk in file.chunks(size):
            splitter.add(chunk, targets)


def write_findings(report: ScreenReport, path: Path) -> None:
    """Write one finding per line: the rows' first, then the file's."""
    with atomic_writer(path) as handle:
        for finding in (*report.findings, *report.file_findings):
            handle.write(to_json(public(finding)) + b"\n")


def write_report(report: ScreenReport, path: Path) -> None:
    """Write `screen.json`."""
    write_json(path, report.to_json())
