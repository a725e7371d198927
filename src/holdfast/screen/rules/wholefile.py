"""The one file rule: keeps a sample of the file and lets every analysis read it at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding, Looks, RuleInfo
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.sample import SIZE, Sample

if TYPE_CHECKING:
    from holdfast.screen.config import ScreenConfig


class Analysis(Protocol):
    """Reads the sample of a whole file and says what it sees."""

    @property
    def infos(self) -> tuple[RuleInfo, ...]: ...

    def read(self, sample: Sample) -> Iterable[Finding]:
        """Yield findings, each with the lines it concerns."""
        ...


class WholeFile(Tuned):
    """Runs analyses over a bounded sample of a file.

    Args:
        analyses: What is looked for.
        rows: Most rows that are kept in memory; larger files are sampled.
    """

    def __init__(self, analyses: Sequence[Analysis], *, rows: int = SIZE) -> None:
        self.analyses = tuple(analyses)
        self.rows = rows
        self.infos = tuple(info for analysis in analyses for info in analysis.infos)  # type: ignore[misc]

    def configure(self, config: ScreenConfig) -> None:
        """Drop analyses that the configuration does not run; hand the others their thresholds."""
        self.analyses = tuple(a for a in self.analyses if any(config.runs(info.code) for info in a.infos))
        for analysis in self.analyses:
            if isinstance(analysis, Tuned):
                analysis.configure(config)

    def start(self) -> Sample:
        """An empty sample."""
        return Sample(self.rows)

    def observe(self, state: Sample, row: Conversation) -> None:
        """Show one row to the sample."""
        state.add(row)

    def merge(self, left: Sample, right: Sample) -> Sample:
        """One sample from two."""
        return left.merged(right)

    def finish(self, state: Sample) -> Iterator[Finding]:
        """Yield the findings of every analysis."""
        for analysis in self.analyses:
            yield from analysis.read(state)

    def look(self, finding: Finding, rows: Sequence[Conversation]) -> Iterator[Finding]:
        """Let the analysis that named something look for it in rows."""
        for analysis in self.analyses:
            if isinstance(analysis, Looks) and any(info.code == finding.code for info in analysis.infos):
                yield from analysis.look(finding, rows)
