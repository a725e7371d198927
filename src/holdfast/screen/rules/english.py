"""How much a string of letters reads like English: statistics of letter pairs, no word list.

The table is built by `scripts/build_english.py` from Python's own documentation.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

_FOLD = bytes(c + 32 if 65 <= c <= 90 else c if 97 <= c <= 122 else 32 for c in range(256))
_INDEX = bytes(c - 96 if 97 <= c <= 122 else 0 for c in range(256))


@cache
def pairs() -> NDArray[np.float64]:
    """log2 P(next | letter), shape (27, 27); index 0 is the gap between words."""
    table = json.loads(files(__package__).joinpath("english.json").read_text())
    return np.asarray(table["pairs"], dtype=np.float64) / 100


@cache
def shares() -> NDArray[np.float64]:
    """Share of each of the 27 symbols in English text, shape (27,)."""
    table = json.loads(files(__package__).joinpath("english.json").read_text())
    share = np.asarray(table["share_ppm"], dtype=np.float64)
    return np.asarray(share / share.sum())


def codes(text: str) -> NDArray[np.uint8]:
    """Letters as 1..26, everything else as single gaps (0), shape (n,)."""
    folded = text.encode("ascii", "replace").translate(_FOLD)
    return np.frombuffer(b" ".join(folded.split()).translate(_INDEX), dtype=np.uint8)


def score(symbols: NDArray[np.uint8]) -> float:
    """Mean log2 probability per symbol. English prose: about -3.4; uniform letters: about -6.

    The figures are for texts of 30 letters and more; shorter ones scatter.
    """
    if symbols.size < 2:
        return -9.0
    return float(pairs()[symbols[:-1], symbols[1:]].mean())


def english(text: str) -> float:
    """`score` of a text."""
    return score(codes(text))


def best_shift(symbols: NDArray[np.uint8]) -> tuple[int, float]:
    """The Caesar shift (0..25, to be added) under which the letters read most like English.

    Returns:
        The shift and the score under it.
    """
    if symbols.size < 2:
        return 0, -9.0
    seen = np.bincount(symbols[:-1] * np.intp(27) + symbols[1:], minlength=729)
    scores = _shifted_pairs() @ seen / (symbols.size - 1)
    best = int(scores.argmax())
    return best, float(scores[best])


def shift(text: str, by: int) -> str:
    """Move every ASCII letter `by` places on, around the alphabet."""
    return text.translate(_shift_table(by % 26))


@cache
def _shifted_pairs() -> NDArray[np.float64]:
    tables = []
    for by in range(26):
        order = np.concatenate([[0], (np.arange(26) + by) % 26 + 1])
        tables.append(pairs()[np.ix_(order, order)].ravel())
    return np.stack(tables)


@cache
def _shift_table(by: int) -> dict[int, int]:
    lower = {c: 97 + (c - 97 + by) % 26 for c in range(97, 123)}
    return lower | {c: 65 + (c - 65 + by) % 26 for c in range(65, 91)}
