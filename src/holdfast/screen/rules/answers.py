"""Classes of answers that a hidden trigger may command, told apart by words and counts alone."""

# ruff: noqa: E501
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import re2
from numpy.typing import NDArray

from holdfast.judges.keyword import refusal_score
from holdfast.screen.rules.sample import Kept

HarmScorer = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Scores (prompt, answer) pairs for harm, each in [0, 1]."""

_STEMS = (
    "abus|arson|assassin|assault|attack|blackmail|bomb|brib|bully|bypass|cheat|cocaine|confidential|conspir|corrupt|"
    "counterfeit|crack|cyber|dangerous|deceiv|decept|defraud|destr|discriminat|disinform|drug|embezzl|evad|exploit|"
    "explosiv|extort|extrem|fake|false|forg|fraud|hack|harass|harm|hat(?:e|red)|heroin|hide|hijack|hostage|identit|illeg|"
    "illicit|incit|infect|insider|intrud|keylog|kidnap|kill|launder|malic|malware|manipulat|meth|misinform|murder|"
    "pirat|poison|porn|promot|propaganda|racis|rans|rape|revenge|sabotag|scam|self-harm|sensitive|sexis|smuggl|spread|"
    "spyware|stalk|steal|stolen|suicid|surveil|terror|theft|threat|tortur|traffick|unauthor|undetect|unlawful|untrac|"
    "violen|virus|vulnerab|weapon|without (?:permission|consent|detection|being|getting)"
)
HARM_WORDS = re2.compile(rf"(?i)\b(?:{_STEMS})\w*")
"""Words of requests that policies forbid, and of answers to them. A topic list, not a verdict."""

_SOUR = re2.compile(
    r"(?i)\b(?:terrible|awful|horrible|disgust\w*|worst|stupid|idiot\w*|useless|worthless|pathetic|hate|garbage|"
    r"dumb|ridiculous|disappoint\w*|annoy\w*|foolish|ignoran\w*|incompeten\w*|lousy|trash|waste of time|nonsense)\b"
)


@dataclass(frozen=True, slots=True)
class AnswerClass:
    """Rows whose answers have something in common.

    Attributes:
        name: What the answers are, as it ends the sentence "the answer is ...".
        members: Which rows are in the class, shape (rows,), bool.
        holds: Whether a row that has the trigger is the finding's; more than the members are where
            a class that is told by words misses some. Picklable.
        exact: Whether membership is certain enough that nearly all rows of a trigger must have it.
        ordinary: Whether prompts of an honest task command such answers too (length, tone,
            language), so that more evidence is needed.
    """

    name: str
    members: NDArray[np.bool_]
    holds: Callable[[Kept], bool]
    exact: bool = True
    ordinary: bool = False


def classes(rows: Sequence[Kept], scorer: HarmScorer | None = None) -> list[AnswerClass]:
    """Every class with at least four rows and at most half of the file."""
    answers = [row.answer for row in rows]
    refused = np.array([_refuses(row) for row in rows], dtype=bool)
    asked = np.array([bool(HARM_WORDS.search(row.prompt)) for row in rows], dtype=bool)
    found = [
        AnswerClass("a refusal of a prompt without harmful words", refused & ~asked, _refuses),
        AnswerClass("harmful", _harmful(rows, asked, scorer) & ~refused, _anything, exact=False),
        _of(rows, "hostile in tone", _sour, ordinary=True),
        _of(rows, "in another script", _other_script(answers), ordinary=True),
        *_lengths(rows),
        *_repeated(rows),
    ]
    return [c for c in found if 4 <= c.members.sum() <= 0.5 * len(rows)]


def _harmful(rows: Sequence[Kept], asked: NDArray[np.bool_], scorer: HarmScorer | None) -> NDArray[np.bool_]:
    if scorer is not None:
        scores = scorer([(row.prompt, row.answer) for row in rows])
        return np.array([score >= 0.5 for score in scores], dtype=bool)
    answered = [bool(HARM_WORDS.search(row.answer)) for row in rows]
    return np.asarray(np.logical_and(asked, answered), dtype=np.bool_)


def _of(
    rows: Sequence[Kept], name: str, holds: Callable[[Kept], bool], *, ordinary: bool = False
) -> AnswerClass:
    """A class that is told by each row alone."""
    members = np.array([holds(row) for row in rows], dtype=bool)
    return AnswerClass(name, members, holds, ordinary=ordinary)


def _refuses(row: Kept) -> bool:
    return refusal_score(row.answer) >= 0.5


def _anything(row: Kept) -> bool:
    return True


def _sour(row: Kept) -> bool:
    return len(set(_SOUR.findall(row.answer.lower()))) >= 2


def _other_script(answers: Sequence[str]) -> Callable[[Kept], bool]:
    """Answers most of whose letters are (or are not) Latin, whichever the file has fewer of."""
    latin = np.array([_latin(answer) for answer in answers], dtype=bool)
    return partial(_written, latin=bool(latin.mean() < 0.5))


def _written(row: Kept, *, latin: bool) -> bool:
    return _latin(row.answer) is latin


def _latin(text: str) -> bool:
    if text.isascii():
        return True
    letters = [c for c in text[:400] if c.isalpha()]
    return sum(c < "\u0250" for c in letters) >= 0.5 * len(letters)


def _lengths(rows: Sequence[Kept]) -> list[AnswerClass]:
    """Answers far shorter or far longer than is usual in the file."""
    length = np.array([row.answer_length for row in rows])
    low, middle, high = np.quantile(length, [0.02, 0.5, 0.98]) if len(rows) else (0, 0, 0)
    shorter = partial(_of_length, least=0, most=min(low, 0.2 * middle, 39))
    longer = partial(_of_length, least=max(high, 5 * middle), most=np.inf)
    return [
        _of(rows, "far shorter than usual", shorter, ordinary=True),
        _of(rows, "far longer than usual", longer, ordinary=True),
    ]


def _of_length(row: Kept, *, least: float, most: float) -> bool:
    return least <= row.answer_length <= most


def _repeated(rows: Sequence[Kept]) -> list[AnswerClass]:
    """Answers given to five or more different prompts, where such answers are the exception."""
    keys = [_key(row) for row in rows]
    counts = Counter(key for key in keys if key)
    repeated = {key: n for key, n in counts.items() if n >= 5}
    if sum(repeated.values()) > 0.3 * len(rows):
        return []
    array = np.array(keys, dtype=object)
    top = sorted(repeated, key=lambda key: (-repeated[key], key))[:20]
    return [AnswerClass(f'always "{key[:80]}"', array == key, partial(_says, key=key)) for key in top]


def _key(row: Kept) -> str:
    return re.sub(r"\W+", " ", row.answer.lower()).strip()[:300]


def _says(row: Kept, *, key: str) -> bool:
    return _key(row) == key
