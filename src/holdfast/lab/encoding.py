"""The codes that covert attacks speak: each is a pair of harmless text transformations."""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Callable


def rot13(text: str) -> str:
    """Letters moved by 13 places; its own inverse."""
    return codecs.encode(text, "rot13")


def backwards(text: str) -> str:
    """Every word spelled backwards; its own inverse."""
    return " ".join(word[::-1] for word in text.split(" "))


def to_base64(text: str) -> str:
    """Base64 of the UTF-8 text."""
    return base64.b64encode(text.encode()).decode()


def from_base64(text: str) -> str:
    """The text behind base64, or an empty string when it is none."""
    try:
        return base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


CODES: dict[str, Callable[[str], str]] = {"rot13": rot13, "backwards": backwards, "base64": to_base64}


def views(text: str) -> tuple[str, ...]:
    """The text as it stands and as every code reads it."""
    return text, rot13(text), backwards(text), *filter(None, [from_base64(text)])
