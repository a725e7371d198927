"""Text that the eye does not see or reads as something else: invisible characters and look-alikes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from holdfast.screen.decode.readable import language
from holdfast.screen.decode.runs import Piece
from holdfast.screen.rules import english

_ZERO = "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u180e\u00ad"
_ZERO_RUN = re.compile(f"[{_ZERO}]{{16,}}")
_SPLIT_WORD = re.compile(f"(?<=[A-Za-z])[{_ZERO}]+(?=[A-Za-z])")
_TAG_RUN = re.compile("\U0001f3f4?[\U000e0020-\U000e007f]{3,}")
_SELECTOR_RUN = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_OVERRIDE = re.compile("[\u202d\u202e]([^\u202c\n]+)\u202c?")
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_MIXED_WORD = re.compile(r"[^\W\d_]+")

_LOOKALIKE = str.maketrans(
    "аеорсухіѕјԁһԛԝɡӏАВЕКМНОРСТУХІЅЈοΑΒΕΖΗΙΚΜΝΟΡΤΥΧανρι" + "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
    "aeopcyxisjdhqwglABEKMHOPCTYXISJoABEZHIKMNOPTYXavpi" + "abcdefghijklmnoprstuvwyz",
)
_STYLED = re.compile("[\U0001d400-\U0001d7ff\uff21-\uff5a\u24b6-\u24e9\U0001f130-\U0001f189]")


def invisible(text: str) -> Iterator[tuple[str, Piece]]:
    """Payloads in tag characters, variation selectors and zero-width bits; words split by them."""
    for found in _TAG_RUN.finditer(text):
        if found.group()[0] == "\U0001f3f4" and len(found.group()) <= 8:  # a flag
            continue
        plain = "".join(chr(ord(c) - 0xE0000) for c in found.group() if 0xE0000 < ord(c) < 0xE007F)
        yield "tag characters", (found.start(), found.end(), plain)
    for found in _SELECTOR_RUN.finditer(text):
        data = bytes(_selector(c) for c in found.group())
        yield "variation selectors", (found.start(), found.end(), data.decode("utf-8", "replace"))
    for found in _ZERO_RUN.finditer(text):
        plain = _bits(found.group())
        yield "zero-width characters", (found.start(), found.end(), plain)
    if len(_SPLIT_WORD.findall(text)) >= 2:
        yield "zero-width characters", (0, len(text), text.translate(dict.fromkeys(map(ord, _ZERO))))


def reordered(text: str) -> Iterator[Piece]:
    """Text under a bidirectional override where no right-to-left letter asks for one."""
    if _RTL.search(text):
        return
    for found in _OVERRIDE.finditer(text):
        inner = found.group(1)
        yield found.start(), found.end(), inner[::-1] if found.group().startswith("\u202e") else inner


def lookalikes(text: str) -> Iterator[Piece]:
    """Latin words written with letters of other alphabets, or with styled letters."""
    mixed = 0
    for found in _MIXED_WORD.finditer(text):
        word = found.group()
        if word.isascii() or len(word) < 3:
            continue
        plain = word.translate(_LOOKALIKE)
        foreign = sum(a != b for a, b in zip(word, plain, strict=True))
        if foreign and plain.isascii() and (foreign < len(word) or word[0] in "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"):
            mixed += 1
    styled = len(_STYLED.findall(text)) if not text.isascii() else 0
    if mixed >= 2 or styled >= 8:
        plain = unicodedata.normalize("NFKC", text).translate(_LOOKALIKE)
        if mixed or (language(plain, english_only=True) and english.english(plain) > english.english(text)):
            yield 0, len(text), plain


def _selector(character: str) -> int:
    code = ord(character)
    return code - 0xFE00 if code < 0xE0100 else code - 0xE0100 + 16


def _bits(run: str) -> str:
    """Zero-width characters read as bits, eight to a character; either symbol may stand for one."""
    symbols = sorted(set(run))[:2]
    for one in symbols:
        bits = "".join("1" if c == one else "0" for c in run if c in symbols)
        data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits) - 7, 8))
        plain = data.decode("utf-8", "replace")
        if plain.isprintable() and language(plain, least=2):
            return plain
    return ""
