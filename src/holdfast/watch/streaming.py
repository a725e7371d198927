"""A streamed answer: events in, events out only after their text was screened."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from holdfast.watch.wire import delta_text


class MalformedError(Exception):
    """The model server sent something that is not an event stream."""


class Events:
    """Cuts bytes into server-sent events, holding no more than one event of bounded size."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The events that are complete with these bytes, each with its blank line.

        Raises:
            MalformedError: An event is longer than the limit.
        """
        self._buffer += data.replace(b"\r\n", b"\n")
        *events, self._buffer = self._buffer.split(b"\n\n")
        if len(self._buffer) > self._limit or any(len(event) > self._limit for event in events):
            raise MalformedError("an event of the stream is too long")
        return [event + b"\n\n" for event in events if event]

    @property
    def rest(self) -> bytes:
        """Bytes of an event that did not end."""
        return self._buffer


def payload(event: bytes) -> bytes:
    """The data of an event; empty for comments and the like."""
    lines = [line[5:].lstrip(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


@dataclass
class Holdback:
    """Events that wait until the text they carry was screened.

    Attributes:
        chat: Chat or plain completions.
        window: New characters after which to screen again.
        hold_back: Characters at the end that wait for the next window.
        limit: Bytes that may wait.
        look_at: Characters at the end of the text that are kept for screening.
    """

    chat: bool
    window: int
    hold_back: int
    limit: int
    look_at: int
    length: int = 0
    done: bool = False
    _texts: dict[int, str] = field(default_factory=dict)
    _new: dict[int, list[str]] = field(default_factory=dict)
    _waiting: deque[tuple[int, bytes]] = field(default_factory=deque)
    _bytes: int = 0
    _digests: dict[int, Any] = field(default_factory=dict)
    _screened: int = 0

    def add(self, event: bytes) -> bool:
        """Take one event; True when it is time to screen.

        Raises:
            MalformedError: Its data is not JSON, or too much waits.
        """
        data = payload(event)
        if data == b"[DONE]":
            self.done = True
        elif data:
            try:
                value = orjson.loads(data)
            except orjson.JSONDecodeError:
                raise MalformedError("an event of the stream is not JSON") from None
            for index, text in delta_text(value, self.chat).items():
                self._new.setdefault(index, []).append(text)
                self.length += len(text)
        self._waiting.append((self.length, event))
        self._bytes += len(event)
        if self._bytes > self.limit:
            raise MalformedError("too much of the answer waits to be screened")
        return self.done or self.length - self._screened >= self.window

    @property
    def text(self) -> str:
        """The text of all choices so far, as far as it is kept."""
        self._take_in()
        return "\n".join(text for _, text in sorted(self._texts.items()))

    @property
    def digest(self) -> str:
        """SHA-256 of the whole text so far; of the choices' digests where there are several."""
        self._take_in()
        found = [digest.hexdigest() for _, digest in sorted(self._digests.items())]
        return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()

    def _take_in(self) -> None:
        for index, pieces in self._new.items():
            new = "".join(pieces)
            self._texts[index] = (self._texts.get(index, "") + new)[-self.look_at :]
            digest = self._digests.setdefault(index, hashlib.sha256())
            digest.update(new.encode("utf-8", "replace"))
        self._new.clear()

    def release(self, *, last: bool) -> bytes:
        """Events whose text was screened; all of them when the answer is over."""
        self._screened = self.length
        free = self.length if last else self.length - self.hold_back
        out = []
        while self._waiting and (last or self._waiting[0][0] <= free):
            out.append(self._waiting.popleft()[1])
        data = b"".join(out)
        self._bytes -= len(data)
        return data
