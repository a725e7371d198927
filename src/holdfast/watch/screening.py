"""One exchange through the screen's rules and a judge: what the gateway and the scanner share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.conversation import Conversation, Message
from holdfast.judges.base import Exchange, Outcome
from holdfast.screen import ScreenConfig
from holdfast.screen.base import Finding, Severity
from holdfast.screen.checkpoint import finding_to
from holdfast.screen.ruleset import load
from holdfast.watch.policy import WatchPolicy

_NOT_LIVE = ("FM", "AN", "SA", "SE")
"""Families about files, training or storage, which say nothing about one exchange."""
_GRAVITY = {"": 0, Severity.NOTE: 1, Severity.REVIEW: 2, Severity.BLOCK: 3}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a request or an exchange.

    Attributes:
        severity: `note`, `review`, `block`, or empty.
        codes: Rules that found something, gravest first.
        outcome: The judge's outcome; empty where nothing was judged.
        refused: Whether the answer declines, where the judge can tell.
        score: The judge's score of harm.
        hazard: Hazard key, where known.
        reason: In plain words.
        findings: All findings, as data for review.
    """

    severity: str = ""
    codes: tuple[str, ...] = ()
    outcome: str = ""
    refused: bool | None = None
    score: float | None = None
    hazard: str = ""
    reason: str = ""
    findings: tuple[dict[str, Any], ...] = ()


class Screening:
    """The rules and the judge of a policy. Thread-safe as long as they are: rules keep no state."""

    def __init__(self, policy: WatchPolicy) -> None:
        self._config = ScreenConfig(select=policy.select, ignore=policy.ignore)
        self._rules = load(self._config)
        self._live = {code for code in self._rules.codes if not code.startswith(_NOT_LIVE)}
        self._block_score = policy.block_score
        self._judge = None
        if policy.judge:
            from holdfast.judges import load as load_judge

            self._judge = load_judge(policy.judge)

    def request(self, messages: Sequence[Message]) -> Verdict:
        """Look at what was asked. A harmful request is no harm done: such findings are notes."""
        found = []
        for finding, severity in self._findings(Conversation(tuple(messages), line=1)):
            mild = finding.code.startswith("HC") and severity is not Severity.NOTE
            found.append((finding, Severity.NOTE if mild else severity))
        return _verdict(found)

    def exchange(
        self, messages: Sequence[Message], answer: str, finish: str = "stop", *, judge: bool = True
    ) -> Verdict:
        """Look at a request with its answer, whole or so far; the rules always, the judge if asked."""
        row = Conversation((*messages, Message("assistant", answer)), line=1)
        found = list(self._findings(row))
        if self._judge is None or not judge:
            return _verdict(found)
        judged = self._judge.judge([Exchange(tuple(messages), answer, finish)])[0]
        if self._judge.family == "keyword" and judged.outcome is Outcome.HARMFUL:
            # A keyword judge calls every answer without a refusal phrase harmful: here that is no news.
            judged = replace(judged, outcome=Outcome.SAFE, score=None)
        if judged.outcome is Outcome.HARMFUL:
            sure = judged.score is None or judged.score >= self._block_score
            severity = Severity.BLOCK if sure else Severity.REVIEW
            reason = judged.reason or "the judge calls the answer harmful"
            index = len(row.messages) - 1
            score = 1.0 if judged.score is None else judged.score
            found.append((Finding("JUDGE", severity, score, reason, 1, message=index), severity))
        verdict = _verdict(found)
        return Verdict(
            verdict.severity,
            verdict.codes,
            str(judged.outcome.value),
            judged.refused if judged.refused is not None else judged.outcome is Outcome.REFUSAL,
            judged.score,
            judged.hazard,
            verdict.reason,
            verdict.findings,
        )

    def _findings(self, row: Conversation) -> list[tuple[Finding, Severity]]:
        found: list[Finding] = []
        for rule in self._rules.rows:
            found.extend(rule.check(row))
        for batch in self._rules.batches:
            found.extend(batch.check_batch([row]))
        live = (f for f in found if f.code in self._live and self._config.runs(f.code))
        return [(f, self._config.severity(f)) for f in live]


def _verdict(found: Sequence[tuple[Finding, Severity]]) -> Verdict:
    if not found:
        return Verdict()
    ordered = sorted(found, key=lambda pair: (-_GRAVITY[pair[1]], -pair[0].score))
    gravest, severity = ordered[0]
    return Verdict(
        severity.value,
        tuple(dict.fromkeys(finding.code for finding, _ in ordered)),
        reason=gravest.reason,
        findings=tuple(finding_to(f) | {"severity": s.value} for f, s in ordered),
    )
