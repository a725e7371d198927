"""What a rule is, what it sees and what it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from holdfast.conversation import Conversation


class Severity(StrEnum):
    """What a finding asks for; the row's verdict is the gravest of its findings."""

    NOTE = "note"
    REVIEW = "review"
    BLOCK = "block"


class Verdict(StrEnum):
    """What happens to a row: kept, sent to people, or put in quarantine."""

    KEEP = "keep"
    REVIEW = "review"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a rule saw, with its evidence.

    Attributes:
        code: Rule code (`ID201`).
        severity: What it asks for.
        score: Confidence in [0, 1].
        reason: In plain words.
        line: Line of the row in its file, counted from 1; 0 for a file-level finding.
        message: Index of the turn in the conversation, or None for the row as a whole.
        span: Start and end (characters) of the evidence in that turn.
        decoded: The decoded view the evidence was found in, where the text was encoded.
        coverage: Share of the row's characters that the rule looked at.
        lines: The lines a file-level finding concerns.
    """

    code: str
    severity: Severity
    score: float
    reason: str
    line: int = 0
    message: int | None = None
    span: tuple[int, int] | None = None
    decoded: str | None = None
    coverage: float = 1.0
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A rule's documentation page, as data (`holdfast screen --explain CODE`).

    Attributes:
        code: Two letters of the family and three digits.
        name: Short kebab-case name.
        summary: One sentence.
        why: Why it matters for safety, with the source.
        severity: Default severity.
        fires: An example row (OpenAI `messages`, as Python data) that must fire.
        passes: An example row that must not.
        limits: What it cannot see.
    """

    code: str
    name: str
    summary: str
    why: str
    severity: Severity
    fires: Any
    passes: Any
    limits: str = ""


@runtime_checkable
class RowRule(Protocol):
    """A rule over one row. Stateless: the same row gives the same findings in any process."""

    infos: ClassVar[tuple[RuleInfo, ...]]

    def check(self, row: Conversation) -> Iterable[Finding]:
        """Yield the findings of one row."""
        ...


@runtime_checkable
class FileRule(Protocol):
    """A rule over a whole file: a state that is built row by row, merged, then read.

    States are picklable and of bounded size, so that processes and machines can share the
    work; `merge` is associative and gives the same result for any cut of the file.
    """

    infos: ClassVar[tuple[RuleInfo, ...]]

    def start(self) -> Any:
        """An empty state."""
        ...

    def observe(self, state: Any, row: Conversation) -> None:
        """Add one row to the state."""
        ...

    def merge(self, left: Any, right: Any) -> Any:
        """Combine two states, `left` from earlier rows."""
        ...

    def finish(self, state: Any) -> Iterable[Finding]:
        """Yield the findings of the whole file."""
        ...
