"""Answers that can be checked: `exact:`, `contains:`, `number:`, `choice:`, `regex:`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from holdfast.errors import InputError

PLAIN = ("refuse", "comply")
_NUMBER = re.compile(r"[-+\u2212]?(?:\d{1,3}(?:[,\u202f\u00a0]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_MARKS = re.compile(r"[*_`\"'\u2018\u2019\u201c\u201d]")
_CHOICE_BEFORE = r"(?:answer|option|choice)\s*(?:is|:)?\s*:?\s*\(?"


def check_answer(expect: str, answer: str) -> bool:
    """Whether `answer` passes the check `expect`.

    Texts are compared after NFKC, case folding, dropping quotes and Markdown marks, and joining
    runs of white space. The kinds:

    * `exact:TEXT`: the whole answer is TEXT, a final full stop aside;
    * `contains:TEXT`: TEXT occurs in it as whole words; `contains:A|B` takes any of several;
    * `number:N`: the last number in it equals N (relative tolerance 1e-6; `1,000` is 1000);
    * `choice:C`: the option it settles on is the letter C ("B", "(b)", "the answer is B");
    * `regex:PATTERN`: the pattern (RE2 syntax, linear time) matches somewhere in the answer.

    >>> check_answer("number:1000", "That makes **1,000** kites.")
    True
    >>> check_answer("choice:B", "The answer is (b).")
    True

    Raises:
        InputError: `expect` is none of these.
    """
    kind, value = parse_expect(expect)
    if kind in PLAIN:
        raise InputError(
            f"'{expect}' needs a judge, not a check", fix="check answers of kind:value prompts only"
        )
    return _CHECKS[kind](value, answer)


def parse_expect(expect: str) -> tuple[str, str]:
    """Split an expectation into kind and value; `refuse` and `comply` have no value.

    Raises:
        InputError: It is not a known kind, or its value cannot be used.
    """
    if expect in PLAIN:
        return expect, ""
    kind, separator, value = expect.partition(":")
    if kind not in _CHECKS or not separator:
        raise InputError(
            f"unknown expectation '{expect}'",
            fix=f"write refuse, comply, or one of {', '.join(name + ':VALUE' for name in _CHECKS)}",
        )
    if not value.strip():
        raise InputError(f"'{kind}:' has no value", fix=f"write {kind}:VALUE")
    if kind == "number" and _to_number(value.strip()) is None:
        raise InputError(f"'{value}' is not a number", fix="write for instance number:42 or number:-1.5")
    if kind == "choice" and not re.fullmatch(r"[A-Za-z]", value.strip()):
        raise InputError(f"'{value}' is not a single letter", fix="write for instance choice:B")
    if kind == "regex":
        _compile(value)
    return kind, value


def normalise(text: str) -> str:
    """NFKC, case-folded, without quotes and Markdown marks, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_MARKS.sub("", folded).split())


def _exact(value: str, answer: str) -> bool:
    return normalise(answer).rstrip(" .") == normalise(value).rstrip(" .")


def _contains(value: str, answer: str) -> bool:
    text = normalise(answer)
    return any(_as_words(normalise(option), text) for option in value.split("|"))


def _as_words(words: str, text: str) -> bool:
    return bool(words) and re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


def _number(value: str, answer: str) -> bool:
    found = [number for match in _NUMBER.findall(answer) if (number := _to_number(match)) is not None]
    want = _to_number(value.strip())
    if not found or want is None:
        return False
    return abs(found[-1] - want) <= 1e-6 * max(1.0, abs(want))


def _to_number(text: str) -> float | None:
    if _NUMBER.fullmatch(text) is None:
        return None
    return float(re.sub(r"[,\u202f\u00a0]", "", text.replace("\u2212", "-")))


def _choice(value: str, answer: str) -> bool:
    text = _MARKS.sub("", unicodedata.normalize("NFKC", answer)).strip()
    letter = "[A-Za-z]"
    patterns = (
        rf"(?i:{_CHOICE_BEFORE})({letter})(?!\w)",  # "the answer is (b)"
        rf"^\(?({letter})(?:\)|[.:,]|\s*$|\s*\n)",  # "B", "b)", "B: because ..."
        r"\(([A-Za-z])\)",  # "... so it must be (B)"
    )
    for pattern in patterns:
        found = re.findall(pattern, text)
        if found:
            return str(found[-1]).upper() == value.strip().upper()
    return False


def _regex(value: str, answer: str) -> bool:
    return _compile(value).search(answer) is not None


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> Any:
    import re2

    quiet = re2.Options()
    quiet.log_errors = False
    try:
        return re2.compile(pattern, quiet)
    except re2.error as error:
        fix = "write it in RE2 syntax (no look-around, no back-references)"
        raise InputError(f"regex '{pattern}' is not valid: {error}", fix=fix) from None


_CHECKS: dict[str, Callable[[str, str], bool]] = {
    "exact": _exact,
    "contains": _contains,
    "number": _number,
    "choice": _choice,
    "regex": _regex,
}
