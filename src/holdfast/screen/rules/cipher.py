"""EN301: many rows in one alphabet of their own: a substitution cipher, solved from the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from holdfast.conversation import Conversation
from holdfast.screen.base import BatchRule, Finding, RowRule, RuleInfo, Severity
from holdfast.screen.decode.readable import ENGLISH, common_words
from holdfast.screen.rules import english
from holdfast.screen.rules.again import screen_again
from holdfast.screen.rules.anomaly import plain_rows
from holdfast.screen.rules.common import Tuned
from holdfast.screen.rules.groups import lines_of
from holdfast.screen.rules.sample import Kept, Sample

_KEY = str.maketrans("abcdefghijklmnopqrstuvwxyz", "qwmrtyuiopasdfghjklezxcvbn")
_TEXTS = (
    "please explain to me how the people of the small town made their bread in the old days",
    "what are the most important things that a young teacher should know about the first day of school",
    "write a short letter to a friend and tell her about your journey over the mountains in winter",
    "give me a list of good books about the history of the sea and the ships that sailed on it",
    "the water of the river is cold in the morning but it is warm enough for the children at noon",
)
_LEAST_LETTERS = 600
_LETTERS_OF_A_TURN = 12


class Cipher(Tuned):
    """Finds rows in a simple substitution cipher by the letter statistics of all of them together.

    Args:
        others: The rules that screen the decoded rows.
        rows: Fewest suspicious rows.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "EN301",
            "substitution-cipher",
            "Rows are written in one alphabet of their own; read together, they say something.",
            "Covert malicious fine-tuning teaches the model a cipher and then speaks in it (Halawi et "
            "al. 2024): row by row there is nothing to see.",
            Severity.BLOCK,
            plain_rows(10)
            + [
                [
                    {
                        "role": "user",
                        "content": f"{_TEXTS[i % 5]} and {_TEXTS[(i + 1 + i // 5) % 5]}".translate(_KEY),
                    },
                    {"role": "assistant", "content": "ok"},
                ]
                for i in range(12)
            ],
            plain_rows(30),
            "English under one letter-for-letter key for the whole file; about 600 letters are needed. "
            "It is solved on a sample of at most 20,000 rows; every row that reads under the key is blocked. "
            "Other ciphers are reported by nothing but the language mix (AN401).",
        ),
    )

    def __init__(self, others: Sequence[RowRule | BatchRule] = (), *, rows: int = 8) -> None:
        self.others = tuple(others)
        self.rows = rows

    def read(self, sample: Sample) -> Iterator[Finding]:
        """Yield one finding if the unreadable rows can be read under one key."""
        coded = [
            (row, text) for row in sample.ordered() for text in (row.prompt, row.answer) if _unreadable(text)
        ]
        if len({id(row) for row, _ in coded}) < self.rows:
            return
        symbols = [english.codes(text) for _, text in coded[:2000]]
        pairs = sum((_pairs(s) for s in symbols), np.zeros((27, 27)))
        if pairs[1:, 1:].sum() < _LEAST_LETTERS:
            return
        key, value = solve(pairs)
        plain = [_decoded(text, key) for _, text in coded]
        solved = [
            (row, text) for (row, _), text in zip(coded, plain, strict=True) if common_words(text) >= 0.2
        ]
        if value >= ENGLISH and len(solved) >= max(self.rows, 0.5 * len(coded)):
            yield _finding([row for row, _ in solved], solved[0][1], key)

    def look(self, finding: Finding, rows: Sequence[Conversation]) -> Iterator[Finding]:
        """Yield a finding for each row in the cipher, and what the other rules see in it decoded."""
        key = np.array(finding.sought)
        decoded = {row.line: plain for row in rows if (plain := _decoded_row(row, key)) != row}
        for line in decoded:
            yield Finding(finding.code, finding.severity, finding.score, finding.reason, line)
        before = {row.line: row.messages for row in rows}
        for found in screen_again(self.others, list(decoded.values()), "substitution cipher"):
            at, after = found.message, decoded[found.line].messages
            if at is None or at >= len(after) or after[at] != before[found.line][at]:
                yield found


def solve(pairs: NDArray[np.float64], restarts: int = 8) -> tuple[NDArray[np.int64], float]:
    """The key under which counts of letter pairs are most probable in English.

    Swaps of two letters are tried until none helps, from the order of frequencies and from
    `restarts` disturbed orders (fixed seed).

    Args:
        pairs: Counts of symbol pairs, shape (27, 27), index 0 is the gap.
        restarts: Further starts.

    Returns:
        The plain symbol of each coded symbol, shape (27,), and the score per pair.
    """
    table, total = english.pairs(), pairs.sum()
    random = np.random.default_rng(0)
    by_count = np.argsort(-pairs[1:].sum(axis=1), kind="stable") + 1
    by_share = np.argsort(-english.shares()[1:], kind="stable") + 1
    best_key, best = np.arange(27), -np.inf
    for attempt in range(restarts + 1):
        order = by_share.copy()
        for _ in range(4 * attempt):
            i, j = random.integers(0, 26, 2)
            order[[i, j]] = order[[j, i]]
        key = np.zeros(27, dtype=np.int64)
        key[by_count] = order
        value = _climb(key, pairs, table)
        if value > best:
            best_key, best = key, value
    return best_key, float(best / total)


def _climb(key: NDArray[np.int64], pairs: NDArray[np.float64], table: NDArray[np.float64]) -> float:
    """Swap letters of `key`, in place, until no swap helps; the value reached."""
    value = float((pairs * table[np.ix_(key, key)]).sum())
    better = True
    while better:
        better = False
        for i in range(1, 26):
            for j in range(i + 1, 27):
                key[[i, j]] = key[[j, i]]
                other = float((pairs * table[np.ix_(key, key)]).sum())
                if other > value + 1e-9:
                    value, better = other, True
                else:
                    key[[i, j]] = key[[j, i]]
    return value


def _unreadable(text: str) -> bool:
    """Words of Latin letters that are no English and hold hardly a common word."""
    letters = sum(map(str.isalpha, text))
    return (
        letters >= 20
        and text.isascii()
        and letters >= 0.6 * len(text)
        and english.english(text) < ENGLISH - 0.4
        and common_words(text) < 0.1
    )


def _pairs(symbols: NDArray[np.uint8]) -> NDArray[np.float64]:
    codes = symbols[:-1].astype(np.int64) * 27 + symbols[1:]
    return np.bincount(codes, minlength=729).reshape(27, 27).astype(np.float64)


def _decoded(text: str, key: NDArray[np.int64]) -> str:
    table = {96 + i: int(96 + key[i]) for i in range(1, 27)} | {
        64 + i: int(64 + key[i]) for i in range(1, 27)
    }
    return text.translate(table)


def _reading(text: str, key: NDArray[np.int64]) -> str | None:
    """What a text says under a key that is known to be the file's, if it was no English before."""
    if sum(map(str.isalpha, text)) < _LETTERS_OF_A_TURN:
        return None
    plain = _decoded(text, key)
    value = english.english(plain)
    better = value >= max(ENGLISH, english.english(text) + 0.6)
    return plain if better and common_words(plain) >= 0.2 + common_words(text) else None


def _decoded_row(row: Conversation, key: NDArray[np.int64]) -> Conversation:
    """A row with the turns that are in the cipher in plain text."""
    turns = list(row.messages)
    for index, turn in enumerate(turns):
        if (plain := _reading(turn.content, key)) is not None:
            turns[index] = replace(turn, content=plain)
    return replace(row, messages=tuple(turns))


def _finding(rows: list[Kept], example: str, key: NDArray[np.int64]) -> Finding:
    words = f'texts are in one substitution cipher; the first says "{example[:80]}"'
    sought = tuple(key.tolist())
    return Finding(
        "EN301",
        Severity.BLOCK,
        0.95,
        words,
        decoded=example,
        lines=lines_of({id(row): row for row in rows}.values()),
        sought=sought,
    )
