"""What the rules share: sentences, patterns in classes, scores, thresholds from the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

import re2

from holdfast.screen.base import RuleInfo
from holdfast.screen.options import declared

if TYPE_CHECKING:
    from holdfast.screen.config import ScreenConfig

_END = re.compile(r"[.!?;\n。！？]+")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "–": "-", "—": "-"})


class Tuned:
    """A rule whose thresholds are attributes that `rules: {FAMILY: {options: ...}}` may replace.

    The thresholds are the keyword arguments of the constructor with a number or a text as default;
    each is kept in an attribute of its name.
    """

    infos: ClassVar[tuple[RuleInfo, ...]]

    def configure(self, config: ScreenConfig) -> None:
        """Take the thresholds that the configuration names for this rule's codes."""
        known = declared(type(self))
        for info in self.infos:
            for name, value in config.settings(info.code).options.items():
                if name in known:
                    setattr(self, name, type(known[name].default)(value))


def pattern(text: str) -> re2._Regexp[str]:
    """Compile an RE2 pattern (linear time), case folded; white space in `text` is a layout aid."""
    return re2.compile("(?i)" + re.sub(r"\s*\n\s*", "", text.strip()))


def either(*words: str) -> str:
    """A group of alternatives."""
    return "(?:" + "|".join(words) + ")"


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Cut a text into sentences with plain quotes and single-character dashes.

    Yields the start in `text` and the sentence, of the same length as in `text`.
    """
    text = text.translate(_PLAIN)
    start = 0
    for end in _END.finditer(text):
        if end.start() > start:
            yield start, text[start : end.start()]
        start = end.end()
    if start < len(text):
        yield start, text[start:]


def any_of(scores: Iterable[float]) -> float:
    """Noisy or: the chance that at least one of independent signs is right."""
    miss = 1.0
    for value in scores:
        miss *= 1 - value
    return 1 - miss
