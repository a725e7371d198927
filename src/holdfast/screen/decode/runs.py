"""Codes that turn bytes into long runs of symbols: base64, base32, base85, hex, binary, escapes."""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import io
import json
import re
import urllib.parse
import zlib
from collections.abc import Callable, Iterator

import re2

from holdfast.screen.decode.readable import language, readable

Piece = tuple[int, int, str]
"""Start, end and decoded text of one encoded stretch."""

_BASE64 = re2.compile(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*(?:\r?\n[A-Za-z0-9+/_-]+)?={0,2}")
_GROUP = re2.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}|[A-Za-z0-9+/_-]{1,3}={0,2}")
_BASE32 = re2.compile(r"[A-Z2-7]{16,}={0,6}")
_TOKEN = re2.compile(r"[!-~]{20,}")
_HEX = re2.compile(r"(?i)(?:(?:0x|\\x|%)?[0-9a-f]{2}[ :,;-]{0,2}){10,}")
_BINARY = re2.compile(r"(?:[01]{8}[ ,]{0,2}){5,}|(?:[01]{7}[ ,]{1,2}){5,}[01]{7}")
_DECIMAL = re2.compile(r"(?:\b[0-9]{2,3}[ ,;]{1,2}){9,}[0-9]{2,3}\b")
_OCTAL = re2.compile(r"(?:\\[0-7]{3}){8,}")
_UNICODE = re2.compile(r"(?:\\u[0-9a-fA-F]{4}){5,}")
_ENTITY = re2.compile(r"(?:&#(?:[xX][0-9a-fA-F]{2,6}|[0-9]{2,7});?[ ]?){5,}")
_PERCENT = re2.compile(r"(?:%[0-9a-fA-F]{2}|[A-Za-z0-9_.~+-]){12,}")
_ENCODED_LETTER = re2.compile(r"%(?:[46][1-9a-fA-F]|[57][0-9aA])")
_INFLATED = 1 << 20


def base64_runs(text: str) -> Iterator[Piece]:
    """Base64, standard and URL alphabet, also wrapped over lines and gzipped inside."""
    for found in _BASE64.finditer(text):
        run = re.sub(r"\s", "", found.group()).rstrip("=").translate(_URL_SAFE)
        plain = _bytes_text(_unbase64(run))
        if plain is not None:
            yield found.start(), found.end(), plain


def base64_groups(text: str) -> Iterator[Piece]:
    """Base64 in groups of one length, with white space between them; the last may be shorter."""
    for groups in _equal_groups(text):
        for skip in range(min(3, len(groups) - 2)):  # words of that length may stand before it
            run = "".join(group.group() for group in groups[skip:]).rstrip("=").translate(_URL_SAFE)
            plain = _bytes_text(_unbase64(run)) if len(run) >= 16 else None
            if plain is not None:
                yield groups[skip].start(), groups[-1].end(), plain
                break


def _equal_groups(text: str) -> Iterator[list[re.Match[str]]]:
    """Three and more groups in a row of the same length, with the shorter one that follows."""
    run: list[re.Match[str]] = []
    for group in _GROUP.finditer(text):
        size = group.end() - group.start()
        if run and text[run[-1].end() : group.start()].isspace():
            first, last = (end.end() - end.start() for end in (run[0], run[-1]))
            if first == last >= size:
                run.append(group)
                if size == first:
                    continue
                group = None
        if len(run) >= 3:
            yield run
        run = [] if group is None else [group]
    if len(run) >= 3:
        yield run


def base32_runs(text: str) -> Iterator[Piece]:
    """Base32 in capitals."""
    for found in _BASE32.finditer(text):
        run = found.group().rstrip("=")
        plain = _attempt(lambda run=run: base64.b32decode(run + "=" * (-len(run) % 8)))  # type: ignore[misc]
        if plain is not None:
            yield found.start(), found.end(), plain


def base85_runs(text: str) -> Iterator[Piece]:
    """Base85 as Python and git write it, and Ascii85."""
    for found in _TOKEN.finditer(text):
        run = found.group()
        if run.isalnum():
            continue
        for decode in (base64.b85decode, _ascii85):
            plain = _attempt(lambda run=run, decode=decode: decode(run), english_only=True)  # type: ignore[misc]
            if plain is not None:
                yield found.start(), found.end(), plain
                break


def hex_runs(text: str) -> Iterator[Piece]:
    """Hexadecimal bytes, bare, with separators, or with `x` before each byte."""
    for found in _HEX.finditer(text):
        digits = re.sub(r"(?i)0x|\\x|[^0-9a-f]", "", found.group())
        plain = _attempt(lambda digits=digits: bytes.fromhex(digits[: len(digits) & ~1]))  # type: ignore[misc]
        if plain is not None:
            yield found.start(), found.end(), plain


def number_runs(text: str) -> Iterator[Piece]:
    """Characters written as binary, decimal or octal numbers."""
    for expression, base, marks in (
        (_BINARY, 2, r"[01]{7,8}"),
        (_DECIMAL, 10, r"[0-9]+"),
        (_OCTAL, 8, r"[0-7]{3}"),
    ):
        for found in expression.finditer(text):
            values = [int(n, base) for n in re.findall(marks, found.group())]
            if all(9 <= v < 127 for v in values) and language(
                "".join(map(chr, values)), least=5, english_only=True
            ):
                yield found.start(), found.end(), "".join(map(chr, values))


def escape_runs(text: str) -> Iterator[Piece]:
    """Escapes of Unicode code points and numeric HTML entities, in runs."""
    for found in _UNICODE.finditer(text):
        plain = found.group().encode().decode("unicode-escape")
        if language(plain, least=5):
            yield found.start(), found.end(), plain
    for found in _ENTITY.finditer(text):
        plain = html.unescape(re.sub(r"(&#[0-9a-fA-FxX]+);? ?", r"\1;", found.group()))
        if language(plain, least=5):
            yield found.start(), found.end(), plain


def percent_runs(text: str) -> Iterator[Piece]:
    """URL encoding of letters that need none; `%20` alone is ordinary."""
    for found in _PERCENT.finditer(text):
        run = found.group()
        if len(_ENCODED_LETTER.findall(run)) >= 6:
            plain = urllib.parse.unquote_plus(run, errors="replace")
            if language(plain):
                yield found.start(), found.end(), plain


def _unbase64(run: str) -> bytes | None:
    """Bytes of a base64 run; a run that carries one stray character at its end still decodes."""
    run = run[:-1] if len(run) % 4 == 1 else run
    try:
        return base64.b64decode(run + "=" * (-len(run) % 4))
    except (ValueError, binascii.Error):
        return None


def _bytes_text(data: bytes | None) -> str | None:
    if not data:
        return None
    if data[:2] in (b"\x1f\x8b", b"x\x9c", b"x\xda", b"x\x01"):
        data = _inflate(data)
    plain = readable(_narrow(data))
    return None if plain is None or _token_header(plain) else plain


def _narrow(data: bytes) -> bytes:
    """UTF-16 of mostly Latin text (every second byte is zero) as UTF-8; other bytes as they are."""
    for encoding, high in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if high.count(0) >= 0.6 * len(high) > 0:
            return data[: len(data) & ~1].decode(encoding, "replace").lstrip("\ufeff").encode()
    return data


def _inflate(data: bytes) -> bytes:
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.GzipFile(fileobj=io.BytesIO(data)).read(_INFLATED)
        return zlib.decompressobj().decompress(data, _INFLATED)
    except (OSError, zlib.error, EOFError):
        return b""


def _token_header(text: str) -> bool:
    """Whether the text is the header of a web token (JWT), which every API log carries."""
    if not text.startswith("{"):
        return False
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and ("alg" in value or "typ" in value or "iat" in value)


def _attempt(decode: Callable[[], bytes], *, english_only: bool = False) -> str | None:
    try:
        data = decode()
    except (ValueError, binascii.Error):
        return None
    return readable(data, english_only=english_only)


def _ascii85(run: str) -> bytes:
    return base64.a85decode(run.removeprefix("<~").removesuffix("~>"))


_URL_SAFE = str.maketrans("-_", "+/")
