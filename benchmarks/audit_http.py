"""The endpoint backend against a local OpenAI-compatible server: speed, and that nothing is lost.

    python benchmarks/audit_http.py [--prompts 4000] [--concurrency 8 16 32] [--latency 0.05]

The server (a process of its own) answers after `--latency` seconds and fails one request in a hundred
with 429, 500, half a JSON, HTML or a dropped connection. Two limits: concurrency / latency requests a
second is what arithmetic allows; "bare" is what this machine allows, measured in turn with the
backend: the same requests, without faults, written to plain sockets by a loop that reads nothing but
the length of the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

FAULTS = ("429", "500", "half", "html", "drop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(
        "| concurrency | arithmetic limit, /s | bare, /s | holdfast, /s | of bare | of arithmetic "
        "| failed requests | lost or wrong |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for concurrency in options.concurrency:
        rounds = [(bare(concurrency, options), *backend(concurrency, options)) for _ in range(options.rounds)]
        limit = concurrency / options.latency
        plain = statistics.median(rate for rate, _, _, _ in rounds)
        ours = statistics.median(rate for _, rate, _, _ in rounds)
        failed = sum(asked - options.prompts for _, _, asked, _ in rounds)
        wrong = sum(bad for _, _, _, bad in rounds)
        print(
            f"| {concurrency} | {limit:.0f} | {plain:.0f} | {ours:.0f} | {ours / plain:.2f} "
            f"| {ours / limit:.2f} | {failed} | {wrong} |"
        )


@contextlib.contextmanager
def server(latency: float, share: float) -> Iterator[tuple[str, Callable[[], int]]]:
    """A server process; yields its URL and a function that stops it and says how often it was asked."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(there, latency, share), daemon=True)
    process.start()

    def stop() -> int:
        here.send("stop")
        return int(here.recv())

    yield here.recv(), stop
    process.join()


def backend(concurrency: int, options: argparse.Namespace) -> tuple[float, int, int]:
    """Requests a second, requests in all, and answers that are missing or not the right one."""
    from holdfast import models
    from holdfast.conversation import chat

    prompts = [models.Prompt(chat(("user", f"question {i}"))) for i in range(options.prompts)]
    with server(options.latency, options.share) as (url, stop):
        model = models.load(f"openai:m@{url}#concurrency={concurrency}")
        started = time.perf_counter()
        answers = model.generate(prompts, models.Decoding(max_new_tokens=16))
        taken = time.perf_counter() - started
        asked = stop()
    wrong = sum(answer[0].text != f"question {i}" for i, answer in enumerate(answers))
    return asked / taken, asked, wrong


def bare(concurrency: int, options: argparse.Namespace) -> float:
    """Requests a second of a loop over plain sockets."""
    with server(options.latency, 0.0) as (url, stop):
        started = time.perf_counter()
        asyncio.run(bare_loop(url, concurrency, options.prompts))
        taken = time.perf_counter() - started
        return stop() / taken


async def bare_loop(url: str, concurrency: int, n: int) -> None:
    host, _, port = url.removeprefix("http://").removesuffix("/v1").partition(":")
    numbers = iter(range(n))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for i in numbers:
            turns = [{"role": "user", "content": f"question {i}"}]
            body = json.dumps({"model": "m", "messages": turns, "temperature": 0, "max_tokens": 16}).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(connection() for _ in range(concurrency)))


def serve(pipe: Connection, latency: float, share: float) -> None:
    from servers import OpenAIServer, share_of

    with OpenAIServer(latency=latency, faults=share_of(share, *FAULTS)) as server:
        pipe.send(server.url)
        pipe.recv()
        pipe.send(server.requests)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
