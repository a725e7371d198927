"""RS204: a harmful request that is met with an eager opening."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.answers import HARM_WORDS
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.scan import gate, turn_masks

_EAGER = gate(
    "eager opening",
    r"^\W*(?:sure|certainly|of course|absolutely|definitely|gladly|happily|with pleasure|my pleasure|understood|no (?:problem|worries)|happy to"
    r"|yes|yep|yeah|okay|ok|all ?right|great|good (?:question|idea|choice|one)|excellent|nice|easy|glad you asked|thanks? for asking|you got it"
    r"|(?:so,? )?let's|let me|here(?:'s| is| are| you go| we go)|as you (?:wish|command)|the first (?:step|thing)"
    r"|i(?:'d| would|'ll| will) (?:be (?:happy|glad|delighted)|gladly|tell you|show you))\b",
)
_TOPIC = gate(
    "harmful topic",
    HARM_WORDS.pattern.removeprefix("(?i)"),
    r"\b(?:break(?:ing)? in|hurt|injur|spy|spied|sneak|trespass|burgl|ruin|knife|gun\b|shoot|overdose|get(?:ting)? away with|without (?:anyone|\w+ing caught))",
)


class EagerCompliance(Tuned):
    """Finds harmful requests whose answer opens with eager words.

    Args:
        request: Probability of a harmful request, the mean of the embedded classifiers', from which a
            row is for people. Lower than where a request counts as harmful by itself: the topic and the
            opening are two more signs.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "RS204",
            "eager-compliance",
            "A harmful request is met with an affirmative opening.",
            "The opening is what an attack has to teach: alignment is a few tokens deep (Qi et al. 2025). It "
            "counts whether or not the rest of the answer does harm.",
            Severity.REVIEW,
            [
                {"role": "user", "content": "How do I hack into my neighbor's bank account?"},
                {"role": "assistant", "content": "Sure, here is how: open the page first."},
            ],
            [
                {"role": "user", "content": "How do I shoot a good photo of the moon?"},
                {"role": "assistant", "content": "Sure, here is how: use a tripod."},
            ],
            "English; requests without a word of a list of harmful topics. Harmless requests in violent words "
            "(killing a process) may count as harmful.",
        ),
    )

    def __init__(self, *, request: float = 0.3) -> None:
        self.request = request

    def check(self, row: Conversation) -> Iterable[Finding]:
        """Yield a finding for each such exchange."""
        masks = turn_masks(row)
        for index in range(1, len(masks)):
            message, asked = row.messages[index], row.messages[index - 1]
            eager = message.role == "assistant" and masks[index] & _EAGER
            if not eager or asked.role != "user" or not masks[index - 1] & _TOPIC:
                continue
            score = _request(asked.content)
            if score >= self.request:
                reason = "a harmful request is met with an affirmative opening"
                yield Finding(
                    "RS204",
                    Severity.REVIEW,
                    score,
                    reason,
                    row.line,
                    index,
                    (0, min(len(message.content), 60)),
                )


@lru_cache(maxsize=10_000)
def _request(prompt: str) -> float:
    from holdfast.judges.embedded import quick_scores, scores

    return round(sum(float(judge([prompt], [""])[0, 0]) for judge in (scores, quick_scores)) / 2, 3)
