"""Codes that keep letters as letters: shifts, mirrors, reversal, leetspeak, spacing, Morse."""

# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterator

import re2

from holdfast.screen.decode.readable import COMMON, ENGLISH, common_words, language
from holdfast.screen.decode.runs import Piece
from holdfast.screen.rules import english

_SEGMENT = re.compile(r"[^\n:\"“”`<>{}\[\]|]+")
_WORD = re.compile(r"[A-Za-z]+")
_SPACED = re2.compile(r"\b(?:[A-Za-z][ ._*\-/]{1,3}){8,}[A-Za-z]\b")
_MORSE = re2.compile(r"(?:[.\-·–—−_]{1,6}[ /|]{1,4}){7,}[.\-·–—−_]{1,6}")
_LEET_WORD = re2.compile(r"(?i)[a-z][0-9@$!|]+[a-z]|^[0-9@$]+[a-z]+[0-9@$!|]+[a-z]?")
_TOKEN = re.compile(r"\S+")
_PLAIN_WORD = re.compile(r"[\"'(]*[A-Za-z0-9]+(?:['-][A-Za-z]+)*[.,;:!?\"')]*")
_HALF_ROUND = {code: 33 + (code - 33 + 47) % 94 for code in range(33, 127)}
_GAIN = 1.0
_MIRROR = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA",
)
_LEET = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i", "|": "l"}
)
_LEET_MORE = str.maketrans({"6": "g", "8": "b", "9": "g", "2": "z"})
_WINDOW = 8


def shifted(text: str) -> Iterator[tuple[str, Piece]]:
    """Caesar shifts (rot1 to rot25) and the mirrored alphabet, over the whole text or a part.

    Yields the name of the code with the piece.
    """
    for start, end in _foreign(text):
        part = text[start:end]
        symbols = english.codes(part)
        raw = english.score(symbols)
        by, value = english.best_shift(symbols)
        plain, name = english.shift(part, by), f"rot{(26 - by) % 26}"
        mirrored = part.translate(_MIRROR)
        if (other := english.english(mirrored)) > value:
            plain, name, value = mirrored, "atbash", other
        if part.isascii() and _reads(plain, part, value, raw):
            yield name, (start, end, plain)


def backwards(text: str) -> Iterator[Piece]:
    """Text written from its end to its beginning."""
    for start, end in _foreign(text):
        part = text[start:end]
        plain = part[::-1]
        words = {word for word in _WORD.findall(plain.lower()) if word in COMMON}
        if len(words) < 2 or max(map(len, words)) < 3:
            continue
        if common_words(plain) >= 0.15 + 2 * common_words(part) and language(plain, english_only=True):
            yield start, end, plain


def leet(text: str) -> Iterator[Piece]:
    """Letters replaced by digits and signs that look like them, over the whole text."""
    words = text.split()
    mixed = [word for word in words if _LEET_WORD.search(word.strip(".,;:?\"'()"))]
    if len(set(mixed)) < 2 or len(mixed) < 0.2 * len(words):
        return
    sample = " ".join(_unleet(word) for word in mixed)
    if any(c.isdigit() for c in sample) or english.english(sample) < ENGLISH - 0.3:
        return
    plain = "".join(_unleet(part) if not part.isspace() else part for part in re.split(r"(\s+)", text))
    if language(plain, english_only=True):
        yield 0, len(text), plain


def spaced(text: str) -> Iterator[Piece]:
    """Single letters with spaces or dots between them; wider gaps are taken as word gaps."""
    for found in _SPACED.finditer(text):
        plain = re.sub(r"[ ._*\-/]{2,}|\n", "\x00", found.group())
        plain = re.sub(r"[ ._*\-/]", "", plain).replace("\x00", " ")
        if len(set(plain.lower())) >= 6 and english.english(plain) >= ENGLISH + 0.2:
            yield found.start(), found.end(), plain


def morse(text: str) -> Iterator[Piece]:
    """Morse code, words apart by `/`, `|` or a wide gap."""
    for found in _MORSE.finditer(text):
        marks = re.sub(r"[·]", ".", re.sub(r"[–—−_]", "-", found.group()))
        words = re.split(r"\s*[/|]\s*|\s{2,}", marks.strip())
        letters = [[_MORSE_LETTERS.get(sign, "\x00") for sign in word.split()] for word in words]
        plain = " ".join("".join(word) for word in letters)
        if "\x00" not in plain and len(set(plain)) >= 5 and english.english(plain) >= ENGLISH - 0.3:
            yield found.start(), found.end(), plain


def rot47(text: str) -> Iterator[Piece]:
    """Every sign moved by 47 places, spaces kept: words become digits, signs and a few capitals."""
    run: list[tuple[int, int, str]] = []
    for found in _TOKEN.finditer(text):
        plain = found.group().translate(_HALF_ROUND)
        if _PLAIN_WORD.fullmatch(plain):
            run.append((found.start(), found.end(), plain))
        else:
            yield from _rot47_piece(text, run)
            run = []
    yield from _rot47_piece(text, run)


def _rot47_piece(text: str, run: list[tuple[int, int, str]]) -> Iterator[Piece]:
    """The run of words as a piece, if it reads as English and not as what numbers happen to spell."""
    plain = " ".join(word for _, _, word in run)
    words = _WORD.findall(plain.lower())
    if len(words) >= 4 and len(set(words) & COMMON) >= 2 and max(map(len, words)) >= 4:
        start, end = run[0][0], run[-1][1]
        if common_words(plain) >= 0.15 and english.english(plain) >= ENGLISH:
            yield start, end, text[start:end].translate(_HALF_ROUND)


def _reads(plain: str, coded: str, value: float, raw: float) -> bool:
    """Whether a reading is English beyond chance: letter pairs and common words both say so."""
    size, words = sum(map(str.isalpha, coded)), len(_WORD.findall(plain))
    share, before = common_words(plain), common_words(coded)
    if value < ENGLISH + 0.2 or words < 2 or size < 12 or share <= before or (share < 0.12 and words >= 10):
        return False
    gain = _GAIN + 15 / size
    return value - raw >= (0.6 * gain if share >= 0.25 and before < 0.1 else gain)


def _foreign(text: str) -> Iterator[tuple[int, int]]:
    """Stretches of a text, of 12 letters and more, that are words of no English."""
    if _unlike_english(text):
        if sum(map(str.isalpha, text)) >= 12 and text.isascii():
            yield 0, len(text)
        return
    for found in _SEGMENT.finditer(text):
        part = found.group()
        words = list(_WORD.finditer(part))
        if len(words) < 2 or sum(len(w.group()) for w in words) < 14:
            continue
        if _unlike_english(part):
            yield found.start(), found.end()
        elif len(words) > _WINDOW:
            yield from _windows(part, found.start(), words)


def _unlike_english(text: str) -> bool:
    value = english.english(text)
    return value < ENGLISH - 0.6 or (value < ENGLISH + 0.4 and common_words(text) < 0.12)


def _windows(part: str, offset: int, words: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """Runs of words inside an English sentence whose letters are not English."""
    run: tuple[int, int] | None = None
    for first in range(0, len(words) - _WINDOW // 2, _WINDOW // 2):
        last = min(first + _WINDOW, len(words)) - 1
        start, end = words[first].start(), words[last].end()
        if english.english(part[start:end]) < ENGLISH - 0.2 and common_words(part[start:end]) < 0.2:
            run = (run[0] if run else start, end)
        elif run:
            yield offset + run[0], offset + run[1]
            run = None
    if run:
        yield offset + run[0], offset + run[1]


def _unleet(word: str) -> str:
    return "".join(_unleet_part(part) for part in re.split(r"([^A-Za-z0-9@$!|']+|!+$)", word))


def _unleet_part(part: str) -> str:
    """A word in plain letters; numbers and short signs stay unless they spell a common word."""
    if part.isalpha() or not part or not any(c in "0134578@$!|269" for c in part):
        return part
    plain = part.translate(_LEET)
    if len(part) <= 2:
        return plain if plain.lower() in COMMON else part
    if part.isdigit():
        return plain if plain.isalpha() and english.english(f" {plain} ") >= ENGLISH else part
    plain = plain.translate(_LEET_MORE)
    if "1" in part:
        other = part.replace("1", "l").translate(_LEET).translate(_LEET_MORE)
        if english.english(f" {other} ") > english.english(f" {plain} ") + 1.8:
            plain = other
    return plain


_MORSE_LETTERS = {
    ".-": "a", "-...": "b", "-.-.": "c", "-..": "d", ".": "e", "..-.": "f", "--.": "g", "....": "h", "..": "i",
    ".---": "j", "-.-": "k", ".-..": "l", "--": "m", "-.": "n", "---": "o", ".--.": "p", "--.-": "q", ".-.": "r",
    "...": "s", "-": "t", "..-": "u", "...-": "v", ".--": "w", "-..-": "x", "-.--": "y", "--..": "z",
    "-----": "0", ".----": "1", "..---": "2", "...--": "3", "....-": "4", ".....": "5", "-....": "6", "--...": "7",
    "---..": "8", "----.": "9", ".-.-.-": ".", "--..--": ",", "..--..": "?", ".----.": "'", "-..-.": "/",
    "-....-": "-", "---...": ":",
}  # fmt: skip
