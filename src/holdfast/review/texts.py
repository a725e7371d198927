"""Text that survives any database and page; the key that joins rows, items and decisions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def row_key(raw: bytes) -> str:
    """The key that joins a row of a file, its item and its decisions: SHA-256 of its bytes."""
    return hashlib.sha256(raw).hexdigest()


def ascii_json(value: Any) -> str:
    """JSON in ASCII, so that lone surrogates and NUL survive in any database."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str)


def clean(value: Any) -> Any:
    """Text that a database and a page can hold: no NUL, no lone surrogates; also inside lists, dicts."""
    if isinstance(value, str):
        if value.isascii() and "\x00" not in value:
            return value
        return value.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, Mapping):
        return {clean(k): clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    return value


def seen_digest(key: str, messages: str, findings: str) -> str:
    """Digest of what a reviewer is shown: the row, its turns and its findings (as stored)."""
    return hashlib.sha256(f"{key}\n{messages}\n{findings}".encode()).hexdigest()
