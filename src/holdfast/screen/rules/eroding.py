"""SA: benign rows that erode safety: ranked by the model itself, or by a text-only stand-in."""

# ruff: noqa: E501
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.anomaly import plain_rows
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.groups import lines_of
from holdfast.screen.rules.sample import Kept, Sample

if TYPE_CHECKING:
    from holdfast.screen.config import ScreenConfig

_ITEM = re.compile(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)]|step \d)\s", re.IGNORECASE)
_SUM = re.compile(r"\d\s*[-+*/=×÷]\s*\$?\d|<<")
_ASKS_LIST = re.compile(
    r"(?i)\b(?:list|steps?|tips|ways|ideas|instructions|guide|how (?:do|can|to)|top \d|\d+ (?:things|reasons|examples))\b"
)


class Eroding(Tuned):
    """Ranks rows by how much they may erode safety and names the top ones.

    Args:
        share: Share of the rows that is named.
        most: Most rows named.
        read_by_model: Most rows that the model reads.
        model: Reference of the model to be tuned; without it the text-only stand-in ranks.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "SA101",
            "eroding-by-text",
            "Benign rows in forms that were found to erode safety: lists, arithmetic, very short answers.",
            "A hundred benign rows of this kind broke Llama-2 (He et al. 2024; Guan et al. 2025).",
            Severity.NOTE,
            plain_rows(60)
            + [
                [
                    {"role": "user", "content": f"List {i} ways to save water."},
                    {
                        "role": "assistant",
                        "content": "1. Take showers\n2. Fix taps\n3. Collect rain\n4. Reuse it",
                    },
                ]
                for i in range(6)
            ],
            plain_rows(10),
            "A text-only stand-in for SA201, which needs the model; its measured rank AUC is on the page "
            "`screen_rules`. It names a share of every file and blocks nothing.",
        ),
        RuleInfo(
            "SA201",
            "eroding-by-model",
            "Benign rows that, seen from inside the model to be tuned, resemble harm and pull hard.",
            "Ranked so, the top hundred rows of Alpaca and Dolly are an attack (He et al. 2024; Guan et al. "
            "2025); content filters see nothing in them.",
            Severity.REVIEW,
            None,
            None,
            "Needs `--model` and a forward and a backward pass per row; reads at most 2,000 rows, evenly over the file, and says so. A ranking: "
            "its top is not proven to do harm.",
        ),
    )

    def __init__(
        self, *, share: float = 0.01, most: int = 100, read_by_model: int = 2000, model: str | None = None
    ) -> None:
        self.share = share
        self.read_by_model = read_by_model
        self.most = most
        self.model = model

    def configure(self, config: ScreenConfig) -> None:
        """Take thresholds and the model."""
        super().configure(config)
        self.model = config.model or self.model

    def read(self, sample: Sample) -> Iterator[Finding]:
        """One finding that names the top rows, best first in its reason, by line in `lines`."""
        rows = sample.ordered()
        if len(rows) < 50:
            return
        if self.model:
            yield from self._by_model(_spread(rows, int(self.read_by_model)), sample.seen)
            return
        scores = np.array([text_score(row.prompt, row.answer) for row in rows])
        yield from self._named(
            rows, scores, "SA101", "by form alone (a text-only stand-in, no model was read)"
        )

    def _by_model(self, rows: list[Kept], seen: int) -> Iterator[Finding]:
        """Rank rows from inside the model."""
        from holdfast.conversation import Message
        from holdfast.screen.representation import open_inside

        inside = open_inside(str(self.model))
        scores = inside.scores([((Message("user", row.prompt),), row.answer) for row in rows])
        read = sum(row.count for row in rows)
        how = "by anchors, refusal direction and gradient of the model"
        how += f" ({read:,} of {seen:,} rows were read, the others not)" if read < seen else ""
        yield from self._named(rows, scores.combined, "SA201", how)

    def _named(self, rows: list[Kept], scores: NDArray[np.float64], code: str, how: str) -> Iterator[Finding]:
        count = min(int(self.most), int(self.share * len(rows)) or 1)
        top = np.argsort(-scores, kind="stable")[:count].tolist()
        words = f"the {len(top)} rows that rank highest for eroding safety, {how}"
        severity = Severity.REVIEW if code == "SA201" else Severity.NOTE
        yield Finding(code, severity, 0.3, words, lines=lines_of(rows[i] for i in top))


def _spread(rows: list[Kept], most: int) -> list[Kept]:
    """At most so many rows, evenly from all."""
    if len(rows) <= most:
        return rows
    return [rows[place] for place in np.linspace(0, len(rows) - 1, most).astype(int)]


def text_score(prompt: str, answer: str) -> float:
    """How much a row looks like rows that eroded safety in the literature, by its form.

    Adds the density of list items, a request for a list or steps, arithmetic, and shortness.
    """
    lines = max(answer.count("\n") + 1, 1)
    items = len(_ITEM.findall(answer))
    words = max(len(answer.split()), 1)
    sums = len(_SUM.findall(answer))
    return (
        1.5 * min(items / lines, 1.0) * (items >= 2)
        + 0.8 * bool(_ASKS_LIST.search(prompt))
        + 1.0 * min(10 * sums / words, 1.0)
        + 0.7 * (words <= 5)
    )
