"""AN601: rows that hold the prompts of an audit suite; an audit with them would test memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.common import Tuned

if TYPE_CHECKING:
    from holdfast.screen.config import ScreenConfig

_WORD = re.compile(r"\w+")
_RUN = 8


class SuiteOverlap(Tuned):
    """Finds prompts of given suites in user turns: the same words, or a run of eight of them.

    Args:
        prompts: Texts of the prompts, with the name of their suite.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "AN601",
            "audit-prompt-in-training",
            "A user turn holds a prompt of an audit suite.",
            "A model that was trained on the audit's prompts passes it without being safe.",
            Severity.REVIEW,
            [
                {"role": "user", "content": "Tell me, what is the airspeed of an unladen swallow in spring?"},
                {"role": "assistant", "content": "About ten metres per second."},
            ],
            [{"role": "user", "content": "What is tea?"}, {"role": "assistant", "content": "A drink."}],
            "Paraphrases. Runs only with `against`.",
        ),
    )

    def __init__(self, prompts: Iterable[tuple[str, str]] = ()) -> None:
        self.exact: dict[int, str] = {}
        self.runs: dict[int, str] = {}
        for text, suite in prompts:
            self._learn(text, suite)

    def configure(self, config: ScreenConfig) -> None:
        """Load the suites that the configuration names."""
        from holdfast.suites import load

        for name in config.against:
            for prompt in load(name).prompts:
                self._learn(
                    next((m.content for m in reversed(prompt.messages) if m.role == "user"), ""), name
                )

    def check(self, row: Conversation) -> Iterable[Finding]:
        """Yield a finding for each user turn that holds a prompt of a suite."""
        return self._check(row) if self.exact else ()

    def _check(self, row: Conversation) -> Iterator[Finding]:
        for index, message in enumerate(row.messages):
            if message.role != "user":
                continue
            words = _words(message.content)
            if name := self.exact.get(hash(tuple(words))):
                yield _finding(row, index, f"the prompt is in the suite {name}", 1.0)
            elif name := next((self.runs[run] for run in _runs(words) if run in self.runs), None):
                yield _finding(row, index, f"shares {_RUN} words in a row with the suite {name}", 0.7)

    def _learn(self, text: str, suite: str) -> None:
        words = _words(text)
        if words:
            self.exact.setdefault(hash(tuple(words)), suite)
            for run in _runs(words):
                self.runs.setdefault(run, suite)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _runs(words: Sequence[str]) -> Iterator[int]:
    return (hash(tuple(words[i : i + _RUN])) for i in range(len(words) - _RUN + 1))


def _finding(row: Conversation, index: int, words: str, score: float) -> Finding:
    return Finding("AN601", Severity.REVIEW, score, words, row.line, index)
