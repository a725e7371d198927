"""EN: text that hides what it says; it is decoded and the reading is screened by all other rules."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from holdfast.conversation import Conversation
from holdfast.screen.base import BatchRule, Finding, RowRule, RuleInfo, Severity
from holdfast.screen.decode import WINDOW, DecodedView, decoded_row
from holdfast.screen.decode.gates import suspicious
from holdfast.screen.rules.again import screen_again
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.scan import turn_masks

_INVISIBLE = ("tag characters", "variation selectors", "zero-width characters", "bidirectional override")


class Encoded(Tuned):
    """Decodes the turns of a row and screens the readings with the other rules.

    Args:
        others: The rules that screen the decoded row.
        window: Characters of a turn that are read at once; longer turns are read piece by piece.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "EN101",
            "encoded-text",
            "A turn holds text in a code (base64, hex, rot13, rot47, leetspeak, Morse and others).",
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
            "Codes that are not listed (base32 in small letters, Pig Latin, words in reverse order, letters as "
            "numbers, codes of a few words), encryption, gzip of more than 200,000 characters, text in pictures, steganography in word choice; "
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

    def __init__(self, others: Sequence[RowRule | BatchRule] = (), *, window: int = WINDOW) -> None:
        self.others = tuple(others)
        self.window = window

    def check(self, row: Conversation) -> Iterable[Finding]:
        """Yield one finding per code found in a turn, then what the decoded row sets off."""
        turns = [index for index, mask in enumerate(turn_masks(row)) if suspicious(mask)]
        return self._decode(row, turns) if turns else ()

    def _decode(self, row: Conversation, turns: list[int]) -> Iterator[Finding]:
        decoded = decoded_row(row, turns, window=int(self.window))
        if decoded is None:
            return
        plain, readings = decoded
        for index, view in readings:
            yield self._finding(row, index, view)
        changed = {index for index, _ in readings}
        names = ", ".join(sorted({view.encoding for _, view in readings}))
        for finding in screen_again(self.others, [plain], names):
            if finding.message is None or finding.message in changed:
                yield finding

    def _finding(self, row: Conversation, index: int, view: DecodedView) -> Finding:
        hidden = view.encoding.split(" > ")[0] in _INVISIBLE
        return Finding(
            "EN201" if hidden else "EN101",
            Severity.BLOCK if hidden else Severity.REVIEW,
            0.95,
            f"{row.messages[index].role} turn holds text in {view.encoding}",
            row.line,
            index,
            view.span,
            view.text or view.whole,
        )
