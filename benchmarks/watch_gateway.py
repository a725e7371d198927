"""The gateway against direct calls: time added and throughput kept, on loopback.

    python benchmarks/watch_gateway.py [--judge embedded] [--workers 2] [--seconds 8]

A local server streams answers of 30 events, one every 33 ms (a model at 30 tokens a second), or
as fast as it can. One, 32 and 256 connections ask without a pause, first directly, then through
`holdfast watch serve` in its own process; both in turns, so that a busy machine hits both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing import Process
from pathlib import Path

EVENTS = 30
COMMAND = [sys.executable, "-c", "from holdfast.cli.app import main; main()"]


def event(text: str) -> bytes:
    data = {
        "id": "x",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": text}}],
    }
    body = b"data: " + json.dumps(data).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(body), body)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECES = [event(f"word{n} and some more text ") for n in range(EVENTS)]
TAIL = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The model server: as little work as possible per request."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            pause = 0.033 if b"PACED" in body else 0.0
            writer.write(HEAD)
            for piece in PIECES:
                if pause:
                    await asyncio.sleep(pause)
                writer.write(piece)
            writer.write(TAIL)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve_model(port: int) -> None:
    async def run() -> None:
        server = await asyncio.start_server(model, "127.0.0.1", port, backlog=1024)
        await server.serve_forever()

    asyncio.run(run())


@dataclass
class Seen:
    """What one round saw: seconds to the first text and to the end of each answer."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: list[float] = field(default_factory=lambda: [0.0] * 4)


TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid: int | None) -> float:
    """CPU seconds of a process and of its children, threads included."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
        if pid != os.getpid():
            total += sum(cpu(int(child)) for child in (task / "children").read_text().split())
    return total


def busy() -> float:
    """CPU seconds that the whole machine has spent."""
    fields = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def request(port: int, paced: bool) -> bytes:
    text = ("PACED " if paced else "") + "tell me something about gardens"
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    )
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


async def ask(port: int, paced: bool, connections: int, seconds: float) -> Seen:
    """Every connection asks again as soon as it has its answer."""
    seen, message = Seen(), request(port, paced)
    stop = time.perf_counter() + seconds

    async def one(later: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(later)
        while time.perf_counter() < stop:
            begun = time.perf_counter()
            writer.write(message)
            got, first = b"", 0.0
            while not got.endswith(b"0\r\n\r\n"):
                part = await reader.read(65536)
                if not part:
                    raise RuntimeError(f"cut: {got[-200:]!r}")
                got += part
                if not first and b"word0" in got:
                    first = time.perf_counter() - begun
            if got.count(b"data: {") != EVENTS:
                raise RuntimeError(f"not the whole answer: {got[:300]!r}")
            seen.first.append(first)
            seen.whole.append(time.perf_counter() - begun)
        writer.close()

    begun = time.perf_counter()
    spread = 1.0 if paced and connections > 1 else 0.0  # people do not all ask in the same instant
    await asyncio.gather(*(one(spread * n / connections) for n in range(connections)))
    seen.seconds = time.perf_counter() - begun
    return seen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def line(name: str, connections: int, direct: Seen, through: Seen) -> str:
    def added(share: float) -> float:
        return 1000 * (quantile(through.whole, share) - quantile(direct.whole, share))

    ratio = (len(through.whole) / through.seconds) / (len(direct.whole) / direct.seconds)
    first = 1000 * (statistics.median(through.first) - statistics.median(direct.first))
    return (
        f"{name:<7}{connections:>6}{len(direct.whole) / direct.seconds:>10.1f}"
        f"{len(through.whole) / through.seconds:>10.1f}{ratio:>8.2f}{added(0.5):>10.1f}{added(0.99):>10.1f}"
        f"{first:>10.1f}" + spent(through)
    )


def spent(seen: Seen) -> str:
    """CPU of the round: milliseconds an answer of each side, then cores in use."""
    gateway, model_, client = (1000 * part / len(seen.whole) for part in seen.cpu[:3])
    cores, every = seen.cpu[0] / seen.seconds, seen.cpu[3] / seen.seconds
    return f"{gateway:>22.1f}{model_:>8.1f}{client:>8.1f}{cores:>14.2f}{every:>12.2f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--judge", default="")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 32, 256])
    options = parser.parse_args()
    back, front = free_port(), free_port()
    upstream = Process(target=serve_model, args=(back,), daemon=True)
    upstream.start()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = f"upstream: http://127.0.0.1:{back}/v1\njudge: '{options.judge}'\n"
        (folder / "watch.yaml").write_text(config + "tenants:\n  default:\n    max_in_flight: 512\n")
        arguments = [*COMMAND, "watch", "serve", "--store", "w.db", "--port", str(front)]
        arguments += ["--workers", str(options.workers)]
        gateway = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            wait_for(back)
            wait_for(front)
            asyncio.run(ask(front, False, 4, 1.0))  # warm
            judge = options.judge or "none, rules only"
            sizes = f"{EVENTS} events an answer; {os.cpu_count()} cores"
            print(f"judge: {judge}; workers: {options.workers}; {sizes}")
            print(
                "pace     conn  direct/s through/s   ratio  added p50  p99 (ms)  first text (ms)"
                "   CPU ms an answer (gateway, model, client)  gateway cores  cores busy"
            )
            for paced in (True, False):
                for connections in options.connections:
                    direct, through = Seen(), Seen()
                    for _ in range(2):
                        for total, port in ((direct, back), (through, front)):
                            spent = cpu(gateway.pid), cpu(upstream.pid), cpu(os.getpid()), busy()
                            part = asyncio.run(ask(port, paced, connections, options.seconds / 2))
                            if port == front:
                                now = cpu(gateway.pid), cpu(upstream.pid), cpu(os.getpid()), busy()
                                through.cpu = [
                                    a + n - b for a, n, b in zip(through.cpu, now, spent, strict=True)
                                ]
                            total.first += part.first
                            total.whole += part.whole
                            total.seconds += part.seconds
                    print(line("30/s" if paced else "fast", connections, direct, through), flush=True)
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(timeout=60)
            upstream.terminate()


if __name__ == "__main__":
    main()
