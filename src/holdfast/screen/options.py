"""The thresholds that a rule declares: keyword arguments of its constructor with a plain default."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass
from typing import Any

_ARGUMENT = re.compile(r"^ {4}(\w+(?:, \w+)*): (.+(?:\n {5,}.+)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One threshold of a rule.

    Attributes:
        name: As it is written under `options:`.
        default: Its value where the configuration names none; decides the type.
        words: What it is, from the rule's docstring.
    """

    name: str
    default: int | float | str
    words: str

    def trouble(self, value: Any) -> str:
        """What is wrong with a value, or an empty string."""
        if isinstance(self.default, str):
            return "" if isinstance(value, str) else "must be text"
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return "must be a number"
        if isinstance(self.default, int) and value != int(value):
            return "must be a whole number"
        return "must not be negative" if value < 0 else ""

    def __str__(self) -> str:
        return f"{self.name} (default {self.default!r}): {self.words}"


def declared(kind: type) -> dict[str, Threshold]:
    """The thresholds of a rule's class, by name."""
    words = _words(kind)
    return {
        p.name: Threshold(p.name, p.default, words.get(p.name, ""))
        for p in inspect.signature(kind).parameters.values()
        if p.kind is p.KEYWORD_ONLY and isinstance(p.default, int | float | str)
    }


def _words(kind: type) -> dict[str, str]:
    """What the class's docstring says of each argument."""
    _, _, arguments = inspect.cleandoc(kind.__doc__ or "").partition("Args:\n")
    return {
        name: " ".join(text.split()).rstrip(".")
        for names, text in _ARGUMENT.findall(arguments)
        for name in names.split(", ")
    }
