"""What stands before every page: security headers, allowed hosts, body limit, rate limits."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = [
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]


class Guard:
    """ASGI middleware around a page application.

    Args:
        app: The application.
        hosts: Host names that requests may carry (against DNS rebinding); empty allows any.
        max_body: Bytes a request body may have.
    """

    def __init__(self, app: App, *, hosts: frozenset[str] = frozenset(), max_body: int = 4 << 20) -> None:
        self.app = app
        self.hosts = hosts
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer bad requests here, hand on the rest."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        refusal = self._refusal(scope)
        if refusal is not None:
            return await respond(_with_headers(send), *refusal)
        limited = _Limited(receive, self.max_body)
        try:
            await self.app(scope, limited, _with_headers(send))
        except BodyTooLargeError:
            await respond(_with_headers(send), 413, "the request is too large")

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = scope["headers"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        lengths = [value for name, value in headers if name == b"content-length"]
        encodings = [value for name, value in headers if name == b"transfer-encoding"]
        if len(hosts) != 1 or len(lengths) > 1 or (lengths and encodings):
            return 400, "ambiguous headers"
        if self.hosts and host_name(hosts[0]) not in self.hosts:
            return 421, "this server does not answer to that host name"
        if lengths and (not lengths[0].isdigit() or int(lengths[0]) > self.max_body):
            return 413, "the request is too large"
        return None


class BodyTooLargeError(Exception):
    """A body without a length went over the limit."""


class _Limited:
    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise BodyTooLargeError
        return message


class RateLimit:
    """A token bucket per key, in bounded memory: the key used longest ago is forgotten first.

    Args:
        burst: How many at once.
        per_minute: How many a minute after that.
        keys: How many keys are remembered.
        clock: Seconds; a monotonic clock, so that a jump of the wall clock changes nothing.
    """

    def __init__(
        self,
        burst: int,
        per_minute: float,
        *,
        keys: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._rate, self._keys, self._clock = float(burst), per_minute / 60, keys, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, key: str) -> bool:
        """Take one from the key's bucket; False when it is empty."""
        now = self._clock()
        left, at = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        self._buckets[key] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        return left >= 1


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].split("]", 1)[0]
    return host.rsplit(":", 1)[0].lower() if host.count(":") == 1 else host.lower()


async def respond(send: Send, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
    """Send a small complete response."""
    body = text.encode()
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(h for h in _HEADERS if h[0] not in present)]
            if b"cache-control" not in present:
                message["headers"].append((b"cache-control", b"no-store"))
        await send(message)

    return wrapped
