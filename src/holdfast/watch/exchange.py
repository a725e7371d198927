"""One exchange through the gateway: screen, send on, hold back, act, record."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import secrets
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from holdfast.errors import RunError
from holdfast.review.store import now
from holdfast.review.texts import clean
from holdfast.review.web.guard import Receive, Send
from holdfast.watch import wire
from holdfast.watch.metrics import span
from holdfast.watch.policy import Action, Tenant
from holdfast.watch.screening import Look, Verdict, graver
from holdfast.watch.streaming import Events, Holdback, MalformedError
from holdfast.watch.wire import Asked, RefusedError

if TYPE_CHECKING:
    from holdfast.watch.gateway import Gateway

_UNSCREENED = "UNSCREENED"
_DONE = b"data: [DONE]\n\n"
_STREAM_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_PROCESS, _NUMBERS = secrets.token_hex(8), itertools.count()


class Exchange:
    """The life of one exchange. Its record says at every end what happened."""

    def __init__(self, gateway: Gateway, name: str, tenant: Tenant, asked: Asked, send: Send) -> None:
        self.gateway, self.name, self.tenant, self.asked, self.send = gateway, name, tenant, asked, send
        self.id = f"{_PROCESS}{next(_NUMBERS):016x}"
        self.verdict = Verdict()
        self.action: Action = "log"
        self.state = "error"
        self.unscreened = ""
        self.added = 0.0
        self.upstream = 0.0
        self.answer = ""
        self.started = False
        self._judge_at = 1
        self._asked_sha = _sha("\x00".join(f"{m.role}\x01{m.content}" for m in asked.messages))
        self._answer_sha = ""

    async def run(self, path: str, body: bytes, headers: dict[str, str], receive: Receive) -> None:
        """Answer the request and write the record."""
        self._record({"kind": "accepted"}, closed=self.tenant.on_failure == "closed")
        try:
            if self.tenant.screen_request and await self._stop_request():
                self.state = "blocked"
            else:
                await self._until_client_leaves(self._forward(path, body, headers), receive)
        except RefusedError:
            raise
        except (aiohttp.ClientError, TimeoutError, MalformedError) as error:
            self.state = "cut" if self.started else "error"
            await self._fail(f"the model server failed: {str(error) or type(error).__name__}")
        except asyncio.CancelledError:
            self.state = "gone"
            raise
        finally:
            self._finish()

    async def _stop_request(self) -> bool:
        """Screen the request; True when it was answered here."""
        self.verdict = await self._screen(Look(self.asked.messages))
        self.action = self._action()
        if self.action not in ("block", "replace"):
            return False
        await self._withhold()
        return True

    async def _forward(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        begun = time.perf_counter()
        post = self.gateway.client.post(
            self.gateway.url(path), data=body, headers=headers, allow_redirects=False
        )
        with span("upstream"):
            response = await post
        async with response:
            self.upstream = time.perf_counter() - begun
            if response.status >= 400:
                await self._pass_error(response)
            elif self.asked.stream and response.content_type == "text/event-stream":
                await self._stream(response)
            else:
                await self._whole(response)

    async def _pass_error(self, response: aiohttp.ClientResponse) -> None:
        body = await self._read(response)
        self.state = "error"
        await wire.answer(self.send, response.status, body, _kept(response, skip=b"content-type"))

    async def _whole(self, response: aiohttp.ClientResponse) -> None:
        begun = time.perf_counter()
        body = await self._read(response)
        self.upstream += time.perf_counter() - begun
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise MalformedError("the answer is not JSON") from None
        self.answer = "\n".join(text for _, text in sorted(wire.answer_text(value, self.asked.chat).items()))
        self._answer_sha = _sha(self.answer)
        if self.tenant.screen_answer:
            await self._look(self.answer, judge=True)
        if self.action in ("block", "replace"):
            self.state = "blocked"
            return await self._withhold()
        self.state = "done"
        await wire.answer(
            self.send,
            response.status,
            body,
            [*_kept(response, skip=b"content-type"), *self._annotation()],
        )

    async def _stream(self, response: aiohttp.ClientResponse) -> None:
        limits = self.gateway.policy.limits
        events = Events(limits.max_answer)
        held = Holdback(self.asked.chat, limits.window, limits.hold_back, limits.max_answer, limits.look_at)
        async for data in response.content.iter_any():
            for event in events.feed(data):
                due = held.add(event)
                if not self.tenant.screen_answer:
                    await self._emit(held.release(last=True))
                elif due and not await self._release(held, last=held.done):
                    return
        if not held.done:
            if await self._release(held, last=True):
                raise MalformedError("the stream ended early")
            return
        self.answer, self._answer_sha = held.text, held.digest
        self.state = "done"
        await self._emit(b"", more=False)

    async def _release(self, held: Holdback, *, last: bool) -> bool:
        """Screen what is there; give what may be given. False when the answer was stopped."""
        # A judge may cost as much as a hundred rules: it looks each time the text has doubled,
        # and at the end.
        judge = last or held.length >= self._judge_at
        if judge:
            self._judge_at = 2 * held.length
        await self._look(held.text, last=last, judge=judge, cut=held.length > len(held.text))
        if self.action in ("block", "replace"):
            self.answer, self._answer_sha, self.state = held.text, held.digest, "blocked"
            await self._withhold()
            return False
        out = held.release(last=last)
        if last and self.action == "annotate":
            note = b": holdfast " + self._note() + b"\n\n"
            out = out[: -len(_DONE)] + note + _DONE if out.endswith(_DONE) else out + note
        if out:
            await self._emit(out)
        return True

    async def _look(self, text: str, *, last: bool = True, judge: bool, cut: bool = False) -> None:
        look = Look(self.asked.messages, text, "stop" if last else "length", judge)
        found = await self._screen(look)
        # What was found in a part that is no longer looked at stays found.
        self.verdict = graver(self.verdict, found) if cut else found
        self.action = self._action()

    async def _screen(self, look: Look) -> Verdict:
        begun = time.perf_counter()
        try:
            with span("screen"):
                return await self.gateway.screen(look)
        except Exception as error:  # noqa: BLE001 - any failure to screen is the policy's to decide
            self.unscreened = reason = self.gateway.cannot_screen(self.name, error)
            if self.tenant.on_failure == "closed":
                return Verdict("block", (_UNSCREENED,), reason=f"could not be screened: {reason}")
            return Verdict()
        finally:
            self.added += time.perf_counter() - begun

    def _action(self) -> Action:
        if self.verdict.codes == (_UNSCREENED,):
            return "block"  # logging is no choice for what nobody has seen
        if self.verdict.severity == "block":
            return self.tenant.on_block
        return self.tenant.on_review if self.verdict.severity == "review" else "log"

    async def _withhold(self) -> None:
        replace = self.action == "replace"
        text = self.tenant.replacement if replace else ""
        finish = "stop" if replace else "content_filter"
        value = wire.withheld(self.asked, text, stream=self.asked.stream, finish=finish)
        body = orjson.dumps(value)
        if self.asked.stream:
            return await self._emit(b"data: " + body + b"\n\n" + _DONE, more=False)
        await wire.answer(self.send, 200, body, self._annotation())

    async def _fail(self, reason: str) -> None:
        error = RefusedError(502, reason, "upstream_error")
        if not self.started:
            return await wire.answer(self.send, 502, wire.error_body(error))
        await self._emit(b"data: " + wire.error_body(error) + b"\n\n", more=False)

    async def _emit(self, data: bytes, *, more: bool = True) -> None:
        if not self.started:
            self.started = True
            await self.send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self.gateway.policy.limits.max_answer:
                raise MalformedError("the answer is too long")
            parts.append(part)
        return b"".join(parts)

    async def _until_client_leaves(self, work: Any, receive: Receive) -> None:
        """Run `work`, but stop the model server's answer when nobody listens any more."""
        task = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                self.state = "gone"
                await asyncio.wait({task})
                return
            await task
        finally:
            leaving.cancel()
            if not task.done():
                task.cancel()

    def _annotation(self) -> list[tuple[bytes, bytes]]:
        return [(b"x-holdfast-verdict", self._note())] if self.action != "log" else []

    def _note(self) -> bytes:
        codes = ",".join(self.verdict.codes)
        return f"{self.action} {self.verdict.severity} {codes}".encode("ascii", "replace")

    def _finish(self) -> None:
        metrics = self.gateway.metrics
        metrics.exchanges.labels(self.name, self.state, self.action).inc()
        metrics.verdicts.labels(self.name, self.verdict.severity, self.verdict.outcome).inc()
        metrics.added.observe(self.added)
        record: dict[str, Any] = {
            "kind": "finished",
            "state": self.state,
            "answer_sha": self._answer_sha,
            "severity": self.verdict.severity,
            "codes": list(self.verdict.codes),
            "outcome": self.verdict.outcome,
            "refused": self.verdict.refused,
            "hazard": self.verdict.hazard,
            "reason": self.verdict.reason,
            "action": self.action,
            "unscreened": self.unscreened,
            "added_ms": round(1000 * self.added, 3),
            "upstream_ms": round(1000 * self.upstream, 3),
        }
        incident = self.verdict.severity in ("review", "block") and not self.unscreened
        if (incident and self.tenant.keep_incident_text) or random.random() < self.tenant.sample_text:
            record["text"] = {
                "messages": [[m.role, m.content] for m in self.asked.messages],
                "answer": self.answer,
                "findings": list(self.verdict.findings),
            }
        self._record(record, closed=False)

    def _record(self, record: dict[str, Any], *, closed: bool) -> None:
        fixed = {"id": self.id, "at": now(), "tenant": self.name, "model": self.asked.model[:200]}
        try:
            self.gateway.spool.append(clean(record | fixed | {"request_sha": self._asked_sha}))
        except RunError as error:
            self.gateway.metrics.unrecorded.labels(self.name).inc()
            if closed:
                reason = f"no record can be kept: {error.message}"
                raise RefusedError(503, reason, "overloaded_error") from None


def _kept(response: aiohttp.ClientResponse, skip: bytes) -> list[tuple[bytes, bytes]]:
    return [(n.lower(), v) for n, v in response.raw_headers if n.lower() in wire.ANSWER_HEADERS - {skip}]


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
