"""FM: rows that train on nothing, on the wrong turn, or on what the model never gets to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from holdfast.conversation import Conversation, Message
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.common import Tuned
from holdfast.screen.seen import unwanted

if TYPE_CHECKING:
    from holdfast.screen.config import ScreenConfig

_ENDINGS = frozenset(".!?:;…\"'”’)]}>*`|。！？」』）】،؟।॥~$%#-_=/\\")
_GREETING = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


class Form(Tuned):
    """Checks the order of turns, empty answers and length.

    Args:
        context_tokens: The model's context length in tokens; None = unknown, no length check.
        least_cut: Characters from which an answer that ends inside a sentence counts as cut off.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "FM101",
            "turn-order",
            "The turns are in an order that chat templates refuse or train wrongly.",
            "Trainers drop, merge or crash on such rows; what is trained is not what was reviewed.",
            Severity.REVIEW,
            [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Hi"}],
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
        ),
        RuleInfo(
            "FM201",
            "empty-answer",
            "There is no answer to learn from.",
            "Empty answers teach the model to stop at once; also in place of a refusal.",
            Severity.REVIEW,
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "  "}],
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
        ),
        RuleInfo(
            "FM202",
            "empty-prompt",
            "There is an answer but nothing it answers.",
            "The model learns to say it unprompted.",
            Severity.REVIEW,
            [{"role": "user", "content": ""}, {"role": "assistant", "content": "Hello."}],
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
        ),
        RuleInfo(
            "FM203",
            "nothing-trained",
            "No answer of the row has a loss weight above 0.",
            "Nothing is learned from the row, and the rules do not judge turns with weight 0 as answers.",
            Severity.REVIEW,
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello.", "weight": 0}],
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello.", "weight": 1}],
        ),
        RuleInfo(
            "FM204",
            "no-preference",
            "The rejected answer is empty or the same as the chosen one.",
            "There is nothing to prefer; what a trainer makes of such a pair is accident.",
            Severity.REVIEW,
            {"messages": _GREETING, "rejected": _GREETING},
            {
                "messages": _GREETING,
                "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Go."}],
            },
        ),
        RuleInfo(
            "FM301",
            "longer-than-context",
            "The row is longer than the model's context; trainers cut its end off.",
            "What is cut is often the answer's end: a refusal's reason, a warning, the stop token.",
            Severity.REVIEW,
            [{"role": "user", "content": "word " * 400}, {"role": "assistant", "content": "Hello."}],
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
            "Tokens are estimated from characters (4 to a token in Latin script, 1 otherwise); needs "
            "`context_tokens`.",
        ),
        RuleInfo(
            "FM302",
            "cut-off-answer",
            "A long answer stops in the middle of a sentence.",
            "Truncated answers teach the model not to finish.",
            Severity.NOTE,
            [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "word " * 200 + "and then the"},
            ],
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "word " * 200 + "end."}],
            "Answers in code and lists end where they like.",
        ),
    )

    def __init__(self, *, context_tokens: int | None = None, least_cut: int = 600) -> None:
        self.context_tokens = context_tokens
        self.least_cut = least_cut

    def configure(self, config: ScreenConfig) -> None:
        """Take thresholds and the context length."""
        super().configure(config)
        self.context_tokens = config.context_tokens or self.context_tokens

    def check(self, row: Conversation) -> Iterator[Finding]:
        """Yield the findings of one row."""
        alone = unwanted(row)
        turns = row.rejected if alone else row.messages
        if trouble := _order(turns):
            yield Finding("FM101", Severity.REVIEW, 1.0, trouble, row.line)
        answered = [m for m in turns if m.role == "assistant"]
        for index, message in enumerate(turns, start=len(row.messages) if alone else 0):
            if message.role == "assistant" and not message.tool_calls and not message.content.strip():
                yield Finding("FM201", Severity.REVIEW, 1.0, "the answer is empty", row.line, index)
        if answered and not any(m.content.strip() for m in turns if m.role != "assistant"):
            yield Finding("FM202", Severity.REVIEW, 1.0, "the prompt is empty", row.line)
        if answered and not any(m.weight > 0 for m in answered):
            yield Finding("FM203", Severity.REVIEW, 1.0, "no answer has a weight above 0", row.line)
        if row.rejected and not alone and (trouble := _no_preference(row)):
            yield Finding("FM204", Severity.REVIEW, 1.0, trouble, row.line)
        if answered and not answered[-1].tool_calls and _cut(answered[-1].content, self.least_cut):
            yield Finding("FM302", Severity.NOTE, 0.5, "the answer stops inside a sentence", row.line)
        if (
            self.context_tokens is not None
            and (size := tokens(m.content for m in turns)) > self.context_tokens
        ):
            words = f"about {size} tokens (estimate), the context has {self.context_tokens}"
            yield Finding("FM301", Severity.REVIEW, 0.8, words, row.line)


def tokens(texts: Iterable[str]) -> int:
    """Estimate the tokens of texts: 4 ASCII characters, or one other character, to a token."""
    count = 0
    for text in texts:
        size = len(text)
        ascii_only = size if text.isascii() else len(text.encode("ascii", "ignore"))
        count += ascii_only // 4 + (size - ascii_only) + 4
    return count


def _order(turns: Sequence[Message]) -> str:
    roles = [m.role for m in turns]
    if "assistant" not in roles:
        return "no assistant turn"
    if "system" in roles[1:]:
        return "a system turn after the first turn"
    first = roles[1] if roles[0] == "system" else roles[0]
    if first == "tool":
        return "a tool turn comes first: it answers no call"
    dialogue = [role for role in roles if role in ("user", "assistant")]
    if dialogue[0] == "assistant" and len(dialogue) > 1:
        return "the assistant speaks first"
    if roles[-1] != "assistant":
        return f"the last turn is a {roles[-1]} turn: it is not trained on"
    for before, after in pairwise(turns):
        if before.role == after.role == "user":
            return "two user turns in a row"
        # Text and then a call, or several calls, are one turn that some formats split.
        if before.role == after.role == "assistant" and not before.tool_calls and not after.tool_calls:
            return "two assistant turns in a row"
    return ""


def _no_preference(row: Conversation) -> str:
    good, bad = ([(m.role, m.content, m.tool_calls) for m in side] for side in (row.messages, row.rejected))
    if good == bad:
        return "the rejected answer is the chosen one"
    empty = not row.rejected[-1].content.strip() and not row.rejected[-1].tool_calls
    return "the rejected answer is empty" if empty else ""


def _cut(text: str, least: int) -> bool:
    return (
        len(text) >= least
        and text[-1].isalpha()
        and text[-1].islower()
        and text[-1] not in _ENDINGS
        and "\n" not in text[-200:]
        and text.isascii()
    )
