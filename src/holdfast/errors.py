"""Errors that a user can act on: one line, what is wrong, where, and the fix."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of every `holdfast` command."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    RUNTIME = 4


class HoldfastError(Exception):
    """A failure with a place and a fix; printed as one line, never as a traceback.

    Args:
        message: What is wrong, in plain words.
        path: The file or folder concerned.
        line: The line in `path`, counted from 1.
        fix: What the user can do about it.
    """

    exit_code: ExitCode = ExitCode.RUNTIME

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else str(path)
        self.line = line
        self.fix = fix

    def __str__(self) -> str:
        place = ""
        if self.path is not None:
            place = f"{self.path}:{self.line}: " if self.line is not None else f"{self.path}: "
        fix = f" (fix: {self.fix})" if self.fix else ""
        return f"{place}{self.message}{fix}"


class InputError(HoldfastError):
    """The user's files, options or configuration cannot be used; exit code 2."""

    exit_code = ExitCode.USAGE


class RunError(HoldfastError):
    """Something failed while running on valid input (disk, endpoint, memory); exit code 4."""

    exit_code = ExitCode.RUNTIME


def missing_extra(extra: str, package: str) -> InputError:
    """The error for an optional dependency that is not installed."""
    return InputError(
        f"this needs the package '{package}', which is not installed",
        fix=f"pip install 'holdfast[{extra}]'",
    )
