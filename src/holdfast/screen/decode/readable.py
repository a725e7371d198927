"""Is this language? The test that every decoded reading must pass."""

from __future__ import annotations

import re
import unicodedata

from holdfast.screen.rules import english

_WORD = re.compile(r"[A-Za-z']+")
ENGLISH = -4.6
"""Letter-pair score from which letters count as English (prose: about -3.5, see `english`)."""

COMMON = frozenset(
    [
        "a",
        "about",
        "after",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "because",
        "been",
        "but",
        "by",
        "can",
        "could",
        "create",
        "describe",
        "did",
        "do",
        "does",
        "each",
        "explain",
        "find",
        "first",
        "for",
        "from",
        "get",
        "give",
        "go",
        "had",
        "has",
        "have",
        "he",
        "her",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "know",
        "like",
        "list",
        "make",
        "many",
        "me",
        "most",
        "my",
        "need",
        "new",
        "no",
        "not",
        "now",
        "of",
        "on",
        "one",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "people",
        "please",
        "provide",
        "say",
        "see",
        "she",
        "should",
        "show",
        "so",
        "some",
        "step",
        "steps",
        "such",
        "take",
        "tell",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "time",
        "to",
        "two",
        "up",
        "us",
        "use",
        "using",
        "want",
        "was",
        "way",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "without",
        "would",
        "write",
        "you",
        "your",
    ]
)
"""Words of which English text of any kind has some."""


def readable(data: bytes, *, english_only: bool = False) -> str | None:
    """The text of `data`, taken as UTF-8, if it is language, else None.

    Ten bytes that are printable UTF-8 and mostly letters do not come about by chance, so that
    letter statistics are not asked for: what was decoded may be in a further code.

    Args:
        data: Decoded bytes.
        english_only: Ask for English statistics after all (for codes that ordinary text satisfies).
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if english_only:
        return text if language(text, english_only=True) else None
    letters, spaces = sum(map(str.isalpha, text)), sum(map(str.isspace, text))
    plain = len(text) >= 10 and letters + spaces >= 0.6 * len(text) and _printable(text)
    latin = sum(c.isascii() for c in text if c.isalpha()) >= 0.5 * letters
    return text if plain and letters >= 8 and (latin or _one_script(text)) else None


def language(text: str, *, least: int = 8, english_only: bool = False) -> bool:
    """Whether a text is made of words."""
    if not text:
        return False
    letters = sum(map(str.isalpha, text))
    spaces = sum(map(str.isspace, text))
    if letters < least or (letters + spaces) < 0.6 * len(text) or not _printable(text):
        return False
    latin = sum(c.isascii() for c in text if c.isalpha())
    if latin < 0.5 * letters:
        return not english_only and _one_script(text)
    return english.english(text) >= (ENGLISH if english_only else ENGLISH - 0.6)


def common_words(text: str) -> float:
    """Share of the words of a text that are common English words."""
    words = _WORD.findall(text.lower())
    return sum(word in COMMON for word in words) / len(words) if words else 0.0


def _printable(text: str) -> bool:
    odd = sum(1 for c in text if not c.isprintable() and c not in "\n\r\t")
    return odd <= 0.01 * len(text)


def _one_script(text: str) -> bool:
    scripts = {unicodedata.name(c, "?").split()[0] for c in text if c.isalpha() and not c.isascii()}
    return "?" not in scripts and len(scripts) <= 4
