"""What a rule is, what it sees and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from holdfast.conversation import Conversation

if TYPE_CHECKING:
    from holdfast.screen.config import ScreenConfig


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
        lines: The lines a file-level finding concerns, or the first 5,000 of them.
        evidence: The text at `span`, shortened; the engine fills it in.
        rows: How many rows it concerns, where every row of the file was looked at for it.
        sought: What to look for in every row (picklable; see `Looks`). In no report.
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
    evidence: str = ""
    rows: int = 0
    sought: Any = field(default=None, compare=False, repr=False)


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
    """A rule over one row. Stateless: the same row gives the same findings in any process.

    Codes `FM0xx` belong to the file reader (`holdfast.formats`), all others to rules.
    """

    infos: ClassVar[tuple[RuleInfo, ...]]

    def check(self, row: Conversation) -> Iterable[Finding]:
        """Yield the findings of one row."""
        ...


@runtime_checkable
class BatchRule(Protocol):
    """A row rule that is faster on many rows at once (a classifier): the engine cuts batches.

    The findings of a row must not depend on its neighbours in the batch.
    """

    infos: ClassVar[tuple[RuleInfo, ...]]

    def check_batch(self, rows: Sequence[Conversation]) -> Iterable[Finding]:
        """Yield the findings of all rows; each finding carries its row's line."""
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


@runtime_checkable
class Looks(Protocol):
    """A file rule whose state is a sample: what it names there it finds in every row.

    A finding of such a rule that has `sought` makes the engine read the file a second time. The
    rows found take the finding's severity, however many they are.
    """

    infos: ClassVar[tuple[RuleInfo, ...]]

    def look(self, finding: Finding, rows: Sequence[Conversation]) -> Iterable[Finding]:
        """Yield a finding with the line of each row that `finding` concerns.

        Those with the code of `finding` are counted into it; others are findings of the row.
        """
        ...


@runtime_checkable
class Configurable(Protocol):
    """A rule that reads its thresholds from the configuration.

    Any kind of rule may have this method; the engine calls it once per process, before the
    first row.
    """

    def configure(self, config: ScreenConfig) -> None:
        """Take what the rule needs from the `screen:` section."""
        ...


Rule = RowRule | BatchRule | FileRule
