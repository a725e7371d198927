"""A model server that misbehaves on request, and a screening that a test can steer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from holdfast.watch.screening import Look, Verdict


class Words:
    """Screening by word: FORBIDDEN blocks, DOUBTFUL is for review; SLOW and CRASH fail."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bool]] = []

    judged = True

    def look(self, looks: Sequence[Look]) -> list[Verdict]:
        return [self._one(look) for look in looks]

    def _one(self, look: Look) -> Verdict:
        if look.answer is None:
            return self._look(look.messages[-1].content.partition("ANSWER:")[0], "")
        self.seen.append((len(look.answer), look.judge))
        return self._look(look.answer, "safe")

    @staticmethod
    def _look(text: str, outcome: str) -> Verdict:
        if "SLOWSCREEN" in text:
            time.sleep(0.6)
        if "CRASHSCREEN" in text:
            raise RuntimeError("no")
        finding = {"code": "T1", "severity": "block", "score": 1.0, "reason": "word"}
        if "FORBIDDEN" in text:
            return Verdict("block", ("T1",), "harmful", False, 1.0, "malware", "word", (finding,))
        if "DOUBTFUL" in text:
            return Verdict(
                "review", ("T2",), outcome, False, 0.5, "", "word", (finding | {"severity": "review"},)
            )
        return Verdict(outcome=outcome, refused="cannot" in text)


class Upstream:
    """An OpenAI-compatible server: the last user turn says how to behave, `ANSWER:` what to say."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.closed_early = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._lifespan(receive, send)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"] == "/v1/models":
            return await self._json(send, 200, {"data": [{"id": "m"}]})
        request = json.loads(body)
        self.requests.append(request)
        self.headers.append(dict(scope["headers"]))
        chat = "messages" in request
        asked = request["messages"][-1]["content"] if chat else request["prompt"]
        said = asked.partition("ANSWER:")[2] or "all is well"
        if "STATUS429" in asked:
            return await self._json(send, 429, {"error": {"message": "slow down"}})
        if "HANG" in asked:
            await asyncio.sleep(30)
        if not request.get("stream"):
            return await self._whole(send, asked, said, chat)
        await self._stream(receive, send, asked, said, chat)

    async def _whole(self, send: Any, asked: str, said: str, chat: bool) -> None:
        if "NOTJSON" in asked:
            return await self._bytes(send, 200, b"<html>")
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice |= {"message": {"role": "assistant", "content": said}} if chat else {"text": said}
        await self._json(send, 200, {"id": "x", "model": "m", "choices": [choice]})

    async def _stream(self, receive: Any, send: Any, asked: str, said: str, chat: bool) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.ensure_future(receive())
        step = 7
        for at in range(0, len(said), step):
            piece = said[at : at + step]
            choice = {"index": 0, "finish_reason": None}
            choice |= {"delta": {"content": piece}} if chat else {"text": piece}
            event = b"data: " + json.dumps({"id": "x", "choices": [choice]}).encode() + b"\n\n"
            if "MALFORMED" in asked and at > 3 * step:
                event = b"data: {not json\n\n"
            if "ENDLESS" in asked:
                event = b"data: " + b"x" * 70_000
            await send({"type": "http.response.body", "body": event, "more_body": True})
            if "DRIP" in asked:
                await asyncio.sleep(0.05)
            if gone.done():
                self.closed_early += 1
                return
            if "CUT" in asked and at > len(said) // 2:
                raise RuntimeError("the test cuts the stream here")
        gone.cancel()
        last = b'data: {"choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": "stop"}]}\n\n'
        done = b"" if "NODONE" in asked else b"data: [DONE]\n\n"
        await send({"type": "http.response.body", "body": last + done})

    async def _json(self, send: Any, status: int, value: Any) -> None:
        await self._bytes(send, status, json.dumps(value).encode())

    async def _bytes(self, send: Any, status: int, body: bytes) -> None:
        headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=b"), (b"x-request-id", b"r1")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return


def finished(number: int, **values: Any) -> dict[str, Any]:
    """A finished record as the gateway writes it."""
    record = {
        "kind": "finished",
        "id": f"id{number}",
        "at": f"2026-03-01T10:{number // 60 % 60:02d}:{number % 60:02d}.000000+00:00",
        "tenant": "default",
        "model": "m",
        "request_sha": "a",
        "answer_sha": "b",
        "state": "done",
        "severity": "",
        "codes": [],
        "outcome": "safe",
        "refused": False,
        "hazard": "",
        "reason": "",
        "action": "log",
        "unscreened": "",
        "added_ms": 1.5,
        "upstream_ms": 20.0,
    }
    return record | values
