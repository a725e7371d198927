"""Bytes on the wire: which headers pass, bodies with a bound, answers in OpenAI's shapes."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from holdfast.conversation import Message, Role
from holdfast.review.web.guard import Receive, Scope, Send

REQUEST_HEADERS = frozenset(
    {b"accept", b"content-type", b"user-agent", b"x-request-id", b"openai-organization", b"openai-project"}
)
ANSWER_HEADERS = frozenset({b"content-type", b"x-request-id", b"retry-after", b"openai-processing-ms"})
_ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


class RefusedError(Exception):
    """A request that is answered here, with an OpenAI-shaped error."""

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as the gateway understands it."""

    chat: bool
    model: str
    stream: bool
    messages: tuple[Message, ...]


def check_headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers, each once.

    Raises:
        RefusedError: 400 for what two servers could read differently (request smuggling).
    """
    seen: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in seen and name in (b"host", b"content-length", b"transfer-encoding", b"authorization"):
            raise RefusedError(400, f"header {name.decode('latin-1')} is given twice")
        seen[name] = value
    if b"content-length" in seen and b"transfer-encoding" in seen:
        raise RefusedError(400, "both a length and a transfer encoding")
    if seen.get(b"content-encoding", b"identity") != b"identity":
        raise RefusedError(415, "send the body without compression")
    return seen


def bearer(headers: dict[bytes, bytes]) -> str:
    """The API key of a request, or an empty string."""
    scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        RefusedError: 413 when it is longer than `limit`; no more than that is ever held.
    """
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(499, "the client went away")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise RefusedError(413, f"the request is longer than {limit:,} bytes")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def parse(body: bytes, chat: bool) -> Asked:
    """Read a request.

    Raises:
        RefusedError: 400 when it is not one that can be screened.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"the body is not JSON: {error.msg}") from None
    if not isinstance(value, dict):
        raise RefusedError(400, "the body must be a JSON object")
    if _has_twins(body, value):
        raise RefusedError(400, "a key is given twice: two servers could read different requests")
    stream = value.get("stream") is True
    model = value.get("model")
    messages = _chat(value.get("messages")) if chat else _prompt(value.get("prompt"))
    return Asked(chat, model if isinstance(model, str) else "", stream, messages)


def answer_text(value: Any, chat: bool) -> dict[int, str]:
    """The text of each choice of a whole answer; tool calls count as text."""
    texts: dict[int, str] = {}
    for choice in _choices(value):
        message = choice.get("message") if chat else choice
        texts[_index(choice)] = _said(message, "content" if chat else "text")
    return texts


def delta_text(value: Any, chat: bool) -> dict[int, str]:
    """New text of each choice in one event of a stream."""
    texts: dict[int, str] = {}
    for choice in _choices(value):
        message = choice.get("delta") if chat else choice
        said = _said(message, "content" if chat else "text")
        if said:
            index = _index(choice)
            texts[index] = texts.get(index, "") + said
    return texts


def withheld(asked: Asked, text: str, *, stream: bool, finish: str = "content_filter") -> dict[str, Any]:
    """An answer (or the last event of a stream) that says that the real one is withheld."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if not asked.chat:
        choice["text"] = text
    else:
        choice["delta" if stream else "message"] = {"role": "assistant", "content": text}
    kind = "chat.completion" if asked.chat else "text_completion"
    kind += ".chunk" if stream and asked.chat else ""
    return {"id": "withheld", "object": kind, "created": 0, "model": asked.model, "choices": [choice]}


def error_body(error: RefusedError) -> bytes:
    """An OpenAI-shaped error."""
    return orjson.dumps({"error": {"message": error.message, "type": error.kind, "code": error.status}})


async def answer(
    send: Send,
    status: int,
    body: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
    *,
    kind: bytes = b"application/json",
) -> None:
    """Send a complete answer."""
    fixed = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


def peer_in(scope: Scope, networks: Sequence[str]) -> bool:
    """Whether the peer's address is in one of the networks."""
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0]) if client else None
    except ValueError:
        return False
    return address is not None and any(address in ipaddress.ip_network(n, strict=False) for n in networks)


def _chat(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise RefusedError(400, "'messages' must be a list with at least one message")
    messages = []
    for entry in value:
        if not isinstance(entry, dict):
            raise RefusedError(400, "each message must be an object")
        role = _ROLES.get(str(entry.get("role")), "user")
        messages.append(Message(role, _said(entry, "content")))
    return tuple(messages)


def _prompt(value: Any) -> tuple[Message, ...]:
    if isinstance(value, list) and all(isinstance(part, str) for part in value) and value:
        value = "\n".join(value)
    if not isinstance(value, str):
        raise RefusedError(400, "'prompt' must be text: token ids cannot be screened")
    return (Message("user", value),)


def _said(message: Any, key: str) -> str:
    """The text of a message or delta: content (also in parts), refusal, reasoning, tool arguments."""
    if not isinstance(message, dict):
        return ""
    content = message.get(key)
    if isinstance(content, str) and len(message) == 1:
        return content  # nearly every event of a stream
    if isinstance(content, list):
        content = "\n".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    said = [content, message.get("refusal"), message.get("reasoning_content"), message.get("reasoning")]
    for call in message.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            said.append(function.get("arguments"))
    return "".join(part for part in said if isinstance(part, str))


def _choices(value: Any) -> list[dict[str, Any]]:
    choices = value.get("choices") if isinstance(value, dict) else None
    return [c for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []


def _index(choice: dict[str, Any]) -> int:
    index = choice.get("index", 0)
    return index if isinstance(index, int) and 0 <= index < 128 else 0


def _has_twins(body: bytes, value: dict[str, Any]) -> bool:
    """Whether the top object has a key twice; only then does the slower parser have a word."""
    if all(body.count(b'"' + key.encode() + b'"') <= 1 for key in value):
        return b"\\u" in body and _twins(body)
    return _twins(body)


def _twins(body: bytes) -> bool:
    found = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        found = found or len({key for key, _ in items}) < len(items)
        return dict(items)

    json.loads(body, object_pairs_hook=pairs)
    return found
