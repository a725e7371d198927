"""A small OpenAI-compatible server with faults on demand, on the standard library alone.

    with OpenAIServer(latency=0.05, faults=share_of(0.01, "500")) as server:
        ...  # server.url is http://127.0.0.1:PORT/v1

An answer is computed by `reply(body) -> str`; by default it echoes the last user turn. Before each
answer `faults(body, number)` may name a fault: an HTTP status, or html, half, broken, empty, hang,
drop, no_choices; `number` counts requests from 0.
Fault-free requests are also recorded in `server.bodies`.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Callable
from typing import Any

Fault = Callable[[dict[str, Any], int], str | None]


def share_of(share: float, *names: str, seed: int = 0) -> Fault:
    """Each request fails with probability `share`, by one of the faults named."""
    draw = random.Random(seed)
    return lambda body, number: draw.choice(names) if draw.random() < share else None


def first(count: int, *names: str) -> Fault:
    """The first `count` requests fail, by the faults named in turn."""
    return lambda body, number: names[number % len(names)] if number < count else None


def echo(body: dict[str, Any]) -> str:
    """The text of the last user turn."""
    return str([m["content"] for m in body["messages"] if m["role"] == "user"][-1])


class OpenAIServer:
    """Serves `/v1/chat/completions` in a thread of its own while it is entered."""

    def __init__(
        self,
        *,
        reply: Callable[[dict[str, Any]], str] = echo,
        faults: Fault = lambda body, number: None,
        latency: float = 0.0,
        retry_after: str | None = None,
        supports_n: bool = True,
        key: str | None = None,
    ) -> None:
        self._reply, self._faults, self._latency = reply, faults, latency
        self._retry_after, self._supports_n, self._key = retry_after, supports_n, key
        self.requests = 0
        self.busiest = 0
        self._busy = 0
        self.bodies: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        start = asyncio.start_server(self._connection, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ", 2)[1]
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        raw = await reader.readexactly(int(fields.get("content-length", "0")))
        number, self.requests = self.requests, self.requests + 1
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        try:
            if self._latency:
                await asyncio.sleep(self._latency)
            body = json.loads(raw or b"{}")
            return await self._answer(body, self._fault(path, fields, body, number), number, writer)
        finally:
            self._busy -= 1

    def _fault(self, path: str, fields: dict[str, str], body: dict[str, Any], number: int) -> str | None:
        if path != "/v1/chat/completions":
            return "404"
        if self._key is not None and fields.get("authorization") != f"bearer {self._key.lower()}":
            return "401"
        return self._faults(body, number)

    async def _answer(
        self, body: dict[str, Any], fault: str | None, number: int, writer: asyncio.StreamWriter
    ) -> bool:
        if fault is not None:
            return await self._fail(fault, writer)
        self.bodies.append(body)
        n = int(body.get("n", 1)) if self._supports_n else 1
        text = self._reply(body)
        message = {"role": "assistant", "content": text}
        choices = [{"index": i, "message": message, "finish_reason": "stop"} for i in range(n)]
        usage = {"prompt_tokens": 1, "completion_tokens": n * len(text.split()), "total_tokens": 1}
        answer = {"id": f"c{number}", "object": "chat.completion", "choices": choices, "usage": usage}
        await _send(writer, 200, json.dumps(answer | {"model": body.get("model")}))
        return True

    async def _fail(self, fault: str, writer: asyncio.StreamWriter) -> bool:
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "drop":
            return False
        if fault == "broken":  # closes the connection in the middle of the announced body
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{")
            await writer.drain()
            return False
        if fault.isdigit():
            extra = f"retry-after: {self._retry_after}\r\n" if self._retry_after else ""
            await _send(writer, int(fault), json.dumps({"error": {"message": f"fault {fault}"}}), extra)
            return True
        text = {
            "html": "<html><body>Bad gateway</body></html>",
            "half": '{"choices": [{"message": {"con',
            "empty": "",
            "no_choices": '{"choices": []}',
        }[fault]
        await _send(writer, 200, text)
        return True


async def _send(writer: asyncio.StreamWriter, status: int, text: str, extra: str = "") -> None:
    body = text.encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    writer.write(f"{head}{extra}\r\n".encode() + body)
    await writer.drain()
