"""What can be wrong with a row, as data: a code, a place and plain words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

NOT_JSON = "FM001"
UNKNOWN_SHAPE = "FM002"
ENCODING = "FM003"
DUPLICATE_KEY = "FM004"
TOO_LONG = "FM005"
AMBIGUOUS = "FM006"
NOT_TEXT = "FM007"
TORN = "FM008"
SURROGATE = "FM009"
BAD_ROLE = "FM010"


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be read, or that can be read in more than one way.

    Attributes:
        line: Line or row number, counted from 1.
        code: Reader code (`FM0xx`).
        message: What is wrong, in plain words.
        fatal: Whether no conversation could be made of the row.
    """

    line: int
    code: str
    message: str
    fatal: bool = True


OnProblem = Callable[[Problem], None]


class ShapeError(ValueError):
    """A row's value is not a fine-tuning row; carries the reader code."""

    def __init__(self, message: str, code: str = UNKNOWN_SHAPE) -> None:
        super().__init__(message)
        self.code = code
