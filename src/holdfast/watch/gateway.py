"""The gateway: an OpenAI-compatible proxy that screens what goes in and what comes out.

Plain ASGI, one task per exchange. What every exchange holds is bounded: the body, the held-back
part of the answer, one event, one screening window.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable

import aiohttp

from holdfast.errors import InputError
from holdfast.review.web.guard import Receive, Scope, Send
from holdfast.watch import wire
from holdfast.watch.exchange import Exchange
from holdfast.watch.lanes import Lane
from holdfast.watch.metrics import Metrics, span
from holdfast.watch.policy import Tenant, WatchPolicy
from holdfast.watch.screening import Look, Screening, Verdict
from holdfast.watch.spool import Spool
from holdfast.watch.wire import RefusedError

_LOG = logging.getLogger(__name__)
ROUTES = {"/v1/chat/completions": True, "/v1/completions": False}


class Gateway:
    """The ASGI application.

    Args:
        policy: What to do with whose traffic.
        spool: Where records go.
        screening: Rules and judge; made from the policy by default.
        on_stop: Called when the server stops, after the last exchange and before the spool closes.
    """

    def __init__(
        self,
        policy: WatchPolicy,
        spool: Spool,
        *,
        screening: Screening | None = None,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        self.policy = policy
        self.spool = spool
        self.screening = screening or Screening(policy)
        self.metrics = Metrics()
        self._rules = Lane(self.screening.look, 1, "rules")
        self._judge = Lane(self.screening.look, policy.workers, "judge") if self.screening.judged else None
        self._client: aiohttp.ClientSession | None = None
        self._on_stop = on_stop
        self._in_flight: Counter[str] = Counter()
        self._failures: set[str] = set()
        self._key = ""
        if policy.upstream_key_env:
            self._key = os.environ.get(policy.upstream_key_env, "")
            if not self._key:
                raise InputError(f"the environment variable {policy.upstream_key_env} is not set")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            return
        try:
            await self._route(scope, receive, send)
        except RefusedError as error:
            self.metrics.refused.labels(error.status).inc()
            more = [(b"retry-after", b"1")] if error.status in (429, 503) else []
            await wire.answer(send, error.status, wire.error_body(error), more)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path == "/healthz":
            return await wire.answer(send, 200, b'{"status":"ok"}')
        if path == "/metrics" and wire.peer_in(scope, self.policy.metrics_from):
            return await wire.answer(send, 200, self.metrics.text(), kind=b"text/plain; version=0.0.4")
        headers = wire.check_headers(scope)
        found = self.policy.tenant(wire.bearer(headers))
        if found is None:
            raise RefusedError(401, "unknown API key", "authentication_error")
        if path == "/v1/models" and method == "GET":
            return await self._models(headers, send)
        if path not in ROUTES or method != "POST":
            raise RefusedError(404, "only chat completions, completions and models are served here")
        name, tenant = found
        self._enter(name, tenant)
        try:
            body = await wire.read_body(receive, self.policy.limits.max_body)
            asked = wire.parse(body, ROUTES[path])
            with span("exchange", tenant=name, model=asked.model, stream=asked.stream):
                flow = Exchange(self, name, tenant, asked, send)
                await flow.run(path, body, self.upstream_headers(headers), receive)
        finally:
            self._leave(name)

    def _enter(self, name: str, tenant: Tenant) -> None:
        if self._in_flight.total() >= self.policy.limits.max_in_flight:
            raise RefusedError(503, "too many requests are under way", "overloaded_error")
        if self._in_flight[name] >= tenant.max_in_flight:
            raise RefusedError(429, "too many requests of this tenant are under way", "rate_limit_error")
        self._in_flight[name] += 1
        self.metrics.in_flight.inc()

    def _leave(self, name: str) -> None:
        self._in_flight[name] -= 1
        self.metrics.in_flight.dec()
        self.metrics.spool.set(self.spool.waiting)

    async def _models(self, headers: dict[bytes, bytes], send: Send) -> None:
        sent = self.upstream_headers(headers)
        try:
            async with self.client.get(self.url("/v1/models"), headers=sent, allow_redirects=False) as got:
                body = await got.content.read(self.policy.limits.max_answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RefusedError(502, f"the model server did not answer: {type(error).__name__}") from None
        await wire.answer(send, got.status, body)

    def url(self, path: str) -> str:
        """The model server's address for one of our routes."""
        return self.policy.upstream.rstrip("/").removesuffix("/v1") + path

    def upstream_headers(self, headers: dict[bytes, bytes]) -> dict[str, str]:
        """Only headers that are known to be harmless are sent on; the key by configuration."""
        names = wire.REQUEST_HEADERS | (frozenset() if self._key else {b"authorization"})
        passed = {n.decode("latin-1"): v.decode("latin-1") for n, v in headers.items() if n in names}
        if self._key:
            passed["authorization"] = f"Bearer {self._key}"
        return passed | {"accept-encoding": "identity"}

    @property
    def client(self) -> aiohttp.ClientSession:
        """The HTTP client; made when it is first used, inside the running loop."""
        if self._client is None:
            limits = self.policy.limits
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=limits.max_in_flight),
                timeout=aiohttp.ClientTimeout(None, sock_connect=limits.connect_s, sock_read=limits.read_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._client

    async def screen(self, look: Look) -> Verdict:
        """Screen beside the event loop, within the time allowed.

        Raises:
            TimeoutError: It took too long.
        """
        lane = self._judge if look.judge and look.answer is not None else None
        async with asyncio.timeout(self.policy.limits.screen_s):
            return await (lane or self._rules).put(look)

    def cannot_screen(self, tenant: str, error: Exception) -> str:
        """Count a screening that failed, and say why the first time; returns the reason."""
        reason = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
        if reason not in self._failures:
            self._failures.add(reason)
            trace = None if reason == "timeout" else error
            _LOG.error("a screening failed: %s (said once for each kind of failure)", reason, exc_info=trace)
        self.metrics.unscreened.labels(tenant, reason).inc()
        return reason

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                if self._client is not None:
                    await self._client.close()
                for lane in (self._rules, self._judge):
                    if lane is not None:
                        lane.close()
                if self._on_stop is not None:
                    await asyncio.to_thread(self._on_stop)
                self.spool.close()
                return await send({"type": "lifespan.shutdown.complete"})
            await send({"type": "lifespan.startup.complete"})
