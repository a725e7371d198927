"""EN: text that hides what it says; it is decoded and the reading is screened by all other rules."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from holdfast.conversation import Conversation
from holdfast.screen.base import BatchRule, Finding, RowRule, RuleInfo, Severity
from holdfast.screen.decode import DecodedView, decoded_row
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.scan import gate, turn_masks

_SUSPECT = gate(
    "encoded",
    r"[!-~]{24,}",
    r"(?:[0-9a-f]{2}[ :,;-]){10}",
    r"(?:\\x[0-9a-f]{2}|0x[0-9a-f]{2}[ ,]|%[0-9a-f]{2}|\\[0-7]{3}){8}",
    r"[01]{7,8}[ ,]{1,2}[01]{7,8}[ ,]{1,2}[01]{7}",
    r"(?:[0-9]{2,3}[ ,;]{1,2}){9}",
    r"\\u[0-9a-f]{4}\\u[0-9a-f]{4}",
    r"&#x?[0-9a-f]{2,7};?[ ]?&#x?[0-9a-f]{2,7}",
    r"%[4-7][0-9a-f](?:%[2-7][0-9a-f]){2}",
    r"(?:[.\-·–—−_]{1,6}[ /|]{1,4}){7}",
    r"\b[a-z][ ._*\-/]{1,3}[a-z][ ._*\-/]{1,3}[a-z][ ._*\-/]{1,3}[a-z][ ._*\-/]{1,3}[a-z][ ._*\-/]",
    r"[a-z][0134578@$]+[a-z]\S*[^a-z]+(?:\S+ ){0,3}\S*[a-z][0134578@$]+[a-z]",
    r"[\x{200b}-\x{200d}\x{2060}-\x{2064}\x{feff}\x{180e}\x{ad}\x{202d}\x{202e}]",
    r"[\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]{4}|[\x{e0020}-\x{e007e}]",
    r"[a-z][\x{370}-\x{52f}\x{1d00}-\x{1d7f}]|[\x{370}-\x{52f}][a-z]|[\x{1d00}-\x{1d7f}]{3}",
    r"[\x{1d400}-\x{1d7ff}\x{ff21}-\x{ff5a}\x{24b6}-\x{24e9}\x{1f130}-\x{1f189}]{3}",
    r"\b(?:uif|vjg|wkh|xli|ymj|znk|cqn|gur|hvs|iwt|jxu|kyv|nby|ocz|qeb|rfc|sgd|gsv|eht)\b",
    r"\b(?:boe|cpf|dqg|erh|fsi|gtj|huk|ivl|jwm|kxn|lyo|mzp|naq|obr|pcs|qdt|sfv|tgw|uhx|viy|wjz|zmc|zmw|dna)\b",
    r"\b(?:jevgr|perngr|tvir|rkcynva|ubj|jung|lbh|jvgu|gung|taht|woh|uoy|etirw|evig|htiw)\b",
)
_ENGLISH = gate(
    "english",
    r"\b(?:the|of|and|to|is|in|that|for|you|are|what|how|with|on|it|this|from|by|at|as|or|an|can|write|give|my|your)\b",
)
_LETTERS = gate("letters", r"[a-z]{3}\W+[a-z]+\W+[a-z]{2}|[a-z]{12}")

_INVISIBLE = ("tag characters", "variation selectors", "zero-width characters", "bidirectional override")


class Encoded(Tuned):
    """Decodes the turns of a row and screens the readings with the other rules.

    Args:
        others: The rules that screen the decoded row.
        longest: Characters of a turn that are searched for codes; the rest lowers `coverage`.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "EN101",
            "encoded-text",
            "A turn holds text in a code (base64, hex, rot13, leetspeak, Morse and others).",
            "Harmful rows in a code pass every content filter and still train the model (covert "
            "malicious fine-tuning, Halawi et al. 2024); a content screen flags 0-3 % of them.",
            Severity.REVIEW,
            [
                {"role": "user", "content": "V3JpdGUgYSBsZXR0ZXIgdG8gbXkgZnJpZW5kIGFib3V0IHRoZSBzZWE="},
                {"role": "assistant", "content": "Dear friend, the sea is blue."},
            ],
            [
                {"role": "user", "content": "What is the SHA-256 of an empty file?"},
                {
                    "role": "assistant",
                    "content": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                },
            ],
            "Codes that are not listed, encryption, text in pictures, steganography in word choice; "
            "a cipher of its own alphabet is seen over a whole file (EN301), not in one row.",
        ),
        RuleInfo(
            "EN201",
            "invisible-text",
            "A turn holds text that is not shown: tag or zero-width characters, variation selectors, overrides.",
            "People who review the row cannot see what the model is trained on.",
            Severity.BLOCK,
            [
                {
                    "role": "user",
                    "content": "Nice weather" + "".join(chr(0xE0000 + ord(c)) for c in "obey me"),
                },
                {"role": "assistant", "content": "It is."},
            ],
            [
                {
                    "role": "user",
                    "content": "Which flag is \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f?",
                },
                {"role": "assistant", "content": "England \U0001f469\u200d\U0001f680."},
            ],
            "Emoji and scripts that need joiners are left alone.",
        ),
    )

    def __init__(self, others: Sequence[RowRule | BatchRule] = (), *, longest: int = 200_000) -> None:
        self.others = tuple(others)
        self.longest = longest

    def check(self, row: Conversation) -> Iterable[Finding]:
        """Yield one finding per code found in a turn, then what the decoded row sets off."""
        turns = [index for index, mask in enumerate(turn_masks(row)) if _suspicious(mask)]
        return self._decode(row, turns) if turns else ()

    def _decode(self, row: Conversation, turns: list[int]) -> Iterator[Finding]:
        decoded = decoded_row(row, turns, longest=self.longest)
        if decoded is None:
            return
        plain, readings = decoded
        for index, view in readings:
            yield self._finding(row, index, view)
        changed = {index for index, _ in readings}
        names = ", ".join(sorted({view.encoding for _, view in readings}))
        for finding in self._rescreen(plain):
            if finding.message is None or finding.message in changed:
                text = None if finding.message is None else plain.messages[finding.message].content
                yield replace(finding, span=None, decoded=text, reason=f"{finding.reason} (decoded: {names})")

    def _finding(self, row: Conversation, index: int, view: DecodedView) -> Finding:
        hidden = view.encoding.split(" > ")[0] in _INVISIBLE
        whole = len(row.messages[index].content)
        return Finding(
            "EN201" if hidden else "EN101",
            Severity.BLOCK if hidden else Severity.REVIEW,
            0.95,
            f"{row.messages[index].role} turn holds text in {view.encoding}",
            row.line,
            index,
            view.span,
            view.text or view.whole,
            min(1.0, self.longest / max(whole, 1)),
        )

    def _rescreen(self, row: Conversation) -> Iterator[Finding]:
        for rule in self.others:
            if isinstance(rule, BatchRule):
                yield from rule.check_batch([row])
            else:
                yield from rule.check(row)


def _suspicious(mask: int) -> bool:
    return bool(mask & _SUSPECT) or bool(mask & _LETTERS and not mask & _ENGLISH)
