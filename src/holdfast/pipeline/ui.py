"""How a run talks to whoever started it; silent by default, so that it is also a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Ui(Protocol):
    """What the run says while it works."""

    def say(self, text: str) -> None:
        """One finished line."""
        ...

    def progress(self, label: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Show the progress of one piece of work; the function takes the units just finished."""
        ...


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show nothing."""
        yield lambda n: None
