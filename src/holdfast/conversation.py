"""The one record type: what every file format is read into and every room works on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Who speaks.
        content: The text; an empty string where the source has none.
        weight: Loss weight of an assistant turn (0 = seen, not trained on).
        name: Optional speaker or tool name.
        tool_calls: Tool calls of an assistant turn, as JSON text (one string per call).
    """

    role: Role
    content: str
    weight: float = 1.0
    name: str | None = None
    tool_calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row of a fine-tuning file, immutable and cheap.

    Attributes:
        messages: The turns, in order; for preference rows they end with the chosen answer.
        source: The file it came from, as the user named it.
        line: Line (JSONL, CSV) or row number (JSON array, Parquet), counted from 1.
        raw: The original bytes of the row, without its line ending, so that a kept row
            can be written back byte-identical.
        rejected: The turns of the rejected continuation of a preference row.
        format: Name of the format that recognised the row (`openai`, `alpaca`, ...).
        meta: Other fields of the row that rules may look at (context, category, label).
    """

    messages: tuple[Message, ...]
    source: str = ""
    line: int = 0
    raw: bytes = b""
    rejected: tuple[Message, ...] = ()
    format: str = ""
    meta: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    @property
    def id(self) -> str:
        """A stable id from the content alone (roles and texts), independent of the file."""
        digest = hashlib.sha256()
        for group in (self.messages, self.rejected):
            for message in group:
                digest.update(f"{message.role}\x00{message.content}\x01".encode("utf-8", "surrogatepass"))
                for call in message.tool_calls:
                    digest.update(f"{call}\x02".encode("utf-8", "surrogatepass"))
            digest.update(b"\x03")
        return digest.hexdigest()[:16]

    @property
    def system(self) -> str:
        """All system text, joined by newlines."""
        return "\n".join(m.content for m in self.messages if m.role == "system")

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The turns before the last assistant turn (all turns if there is none)."""
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index].role == "assistant":
                return self.messages[:index]
        return self.messages

    @property
    def answer(self) -> str:
        """The text of the last assistant turn, or an empty string."""
        for message in reversed(self.messages):
            if message.role == "assistant":
                return message.content
        return ""

    @property
    def last_user(self) -> str:
        """The text of the last user turn, or an empty string."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.content
        return ""


def chat(*turns: tuple[Role, str]) -> tuple[Message, ...]:
    """Build messages from `(role, text)` pairs.

    >>> chat(("user", "hello"))[0].content
    'hello'
    """
    return tuple(Message(role, text) for role, text in turns)
