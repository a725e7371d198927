"""One exchange through the screen's rules and a judge: what the gateway and the scanner share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.conversation import Conversation, Message
from holdfast.judges.base import Exchange, Judgement, Outcome
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


def graver(earlier: Verdict, later: Verdict) -> Verdict:
    """The graver of two verdicts on parts of one answer; the later one's outcome where it has one."""
    if _GRAVITY[earlier.severity] <= _GRAVITY[later.severity]:
        return later
    return replace(earlier, outcome=later.outcome or earlier.outcome, refused=later.refused)


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be looked at: a request, or a request with its answer, whole or so far.

    Attributes:
        messages: The request.
        answer: The answer; None to look at what was asked alone.
        finish: Why the answer ends (`stop`), or `length` where it goes on.
        judge: Ask the judge too, where there is one.
    """

    messages: tuple[Message, ...]
    answer: str | None = None
    finish: str = "stop"
    judge: bool = True


_Found = tuple[Finding, Severity]


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

    @property
    def judged(self) -> bool:
        """Whether there is a judge."""
        return self._judge is not None

    def look(self, looks: Sequence[Look]) -> list[Verdict]:
        """Rules over everything, then the judge over what asks for it; verdicts in the order given."""
        found = self._findings([_row(look, line) for line, look in enumerate(looks, 1)])
        verdicts = [_verdict(_mild(f) if k.answer is None else f) for k, f in zip(looks, found, strict=True)]
        due = [i for i, k in enumerate(looks) if k.judge and k.answer is not None] if self._judge else []
        if not due or self._judge is None:
            return verdicts
        asked = [Exchange(tuple(looks[i].messages), looks[i].answer or "", looks[i].finish) for i in due]
        for place, judged in zip(due, self._judge.judge(asked), strict=True):
            verdicts[place] = self._judged(looks[place], found[place], judged)
        return verdicts

    def _judged(self, look: Look, found: list[_Found], judged: Judgement) -> Verdict:
        assert self._judge is not None
        if self._judge.family == "keyword" and judged.outcome is Outcome.HARMFUL:
            # A keyword judge calls every answer without a refusal phrase harmful: here that is no news.
            judged = replace(judged, outcome=Outcome.SAFE, score=None)
        if judged.outcome is Outcome.HARMFUL:
            sure = judged.score is None or judged.score >= self._block_score
            severity = Severity.BLOCK if sure else Severity.REVIEW
            reason = judged.reason or "the judge calls the answer harmful"
            score = 1.0 if judged.score is None else judged.score
            finding = Finding("JUDGE", severity, score, reason, 1, message=len(look.messages))
            found = [*found, (finding, severity)]
        refused = judged.refused if judged.refused is not None else judged.outcome is Outcome.REFUSAL
        return replace(
            _verdict(found),
            outcome=str(judged.outcome.value),
            refused=refused,
            score=judged.score,
            hazard=judged.hazard,
        )

    def _findings(self, rows: Sequence[Conversation]) -> list[list[_Found]]:
        """Findings by row; row number n stands on line n + 1."""
        found: list[Finding] = []
        for rule in self._rules.rows:
            for row in rows:
                found.extend(rule.check(row))
        for batch in self._rules.batches:
            found.extend(batch.check_batch(rows))
        sorted_out: list[list[_Found]] = [[] for _ in rows]
        for finding in found:
            if finding.code in self._live and self._config.runs(finding.code):
                pair = (replace(finding, line=1), self._config.severity(finding))
                sorted_out[finding.line - 1].append(pair)
        return sorted_out


def _row(look: Look, line: int) -> Conversation:
    said = () if look.answer is None else (Message("assistant", look.answer),)
    return Conversation((*look.messages, *said), line=line)


def _mild(found: list[_Found]) -> list[_Found]:
    """A harmful request is no harm done: such findings are notes."""
    return [(f, Severity.NOTE if f.code.startswith("HC") else severity) for f, severity in found]


def _verdict(found: Sequence[_Found]) -> Verdict:
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
