"""An hour of traffic by count through the real gateway, on a real PostgreSQL: kills, and a minute without it.

    python benchmarks/watch_soak.py [--requests 36000] [--away 60]

36,000 streamed requests are ten a second for an hour, asked as fast as they are answered. A third
of the way PostgreSQL is stopped as in a crash, for a minute; at two thirds the gateway gets SIGKILL
under load and is started again. In the end the database is compared with what the clients received.
Needs PostgreSQL's programs; started as root, the server runs as `nobody`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from review.postgres import Postgres, postgres
from watch_gateway import COMMAND, free_port, serve_model, wait_for

from holdfast.review import Store
from holdfast.watch import Drainer, Spool, load_policy, prepare
from holdfast.watch.schema import exchanges

AT_ONCE = 32


class Soak:
    """Counts of what clients saw, and the gateway that is killed and started again."""

    def __init__(self, folder: Path, database: str, back: int) -> None:
        self.folder, self.database, self.port = folder, database, free_port()
        (folder / "watch.yaml").write_text(f"upstream: http://127.0.0.1:{back}/v1\njudge: ''\n")
        self.answered: set[int] = set()
        self.failed = 0
        self.memory: list[float] = []
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        arguments = [*COMMAND, "watch", "serve", "--store", self.database, "--port", str(self.port)]
        process = subprocess.Popen(arguments, cwd=self.folder, stdout=subprocess.DEVNULL)
        wait_for(self.port)
        return process

    def resident(self) -> float:
        """MiB of the gateway."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    async def ask(self, numbers: range) -> None:
        """Ask all of them, 32 at a time, again where the answer does not come; such attempts are counted."""
        left = iter(numbers)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as client:

            async def one() -> None:
                for number in left:
                    body = {"model": f"n{number}", "stream": True}
                    body["messages"] = [{"role": "user", "content": "tell me about gardens"}]
                    url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
                    while number not in self.answered:
                        try:
                            async with client.post(url, json=body) as answer:
                                if (await answer.read()).endswith(b"data: [DONE]\n\n"):
                                    self.answered.add(number)
                                    continue
                        except aiohttp.ClientError:
                            await asyncio.sleep(0.2)
                        self.failed += 1

            await asyncio.gather(*(one() for _ in range(AT_ONCE)))

    async def killed(self, numbers: range) -> None:
        """SIGKILL under load, and a new gateway half a second later."""
        task = asyncio.ensure_future(self.ask(numbers))
        await asyncio.sleep(1.0)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        await asyncio.sleep(0.5)
        self.process = await asyncio.to_thread(self.start)
        await task


async def away(soak: Soak, server: Postgres, numbers: range, seconds: float) -> int:
    """Traffic while the database is away for so many seconds; returns the requests of that time."""
    server.stop("immediate")
    begun, start = time.monotonic(), len(soak.answered)
    half = numbers[: len(numbers) // 2]
    await soak.ask(half)
    await asyncio.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    asked = len(soak.answered) - start
    server.start()
    await soak.ask(numbers[len(numbers) // 2 :])
    return asked


def compare(soak: Soak, database: str) -> dict[str, Any]:
    """Records by model name (one a request) against what was answered."""
    store, spool = prepare(Store(database)), Spool(soak.folder / "watch-spool", 1 << 40)
    late = Drainer(store, spool, load_policy(soak.folder / "watch.yaml")).drain()  # as the next start would
    with store.read() as connection:
        query = select(exchanges.c.model, exchanges.c.state, func.count()).group_by(
            exchanges.c.model, exchanges.c.state
        )
        rows = connection.execute(query).all()
    store.close()
    done = {int(model[1:]): count for model, state, count in rows if state == "done"}
    other: dict[str, int] = {}
    for _, state, count in rows:
        if state != "done":
            other[state] = other.get(state, 0) + count
    known = {int(row[0][1:]) for row in rows}
    return {
        "lost": len(soak.answered - known),
        "verdict lost by the kill": len((soak.answered & known) - done.keys()),
        "records taken over after the stop": late,
        "twice": sum(count > 1 for count in done.values()),
        "attempts without an answer": soak.failed,
        "other states": other,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=36_000)
    parser.add_argument("--away", type=float, default=60.0)
    options = parser.parse_args()
    back = free_port()
    upstream = Process(target=serve_model, args=(back,), daemon=True)
    upstream.start()
    wait_for(back)
    with postgres(fsync=True) as server, tempfile.TemporaryDirectory() as name:
        database = server.database()
        soak = Soak(Path(name), database, back)
        third = options.requests // 3
        try:
            begun = time.monotonic()
            asyncio.run(soak.ask(range(0, third // 2)))
            early = soak.resident()
            asyncio.run(soak.ask(range(third // 2, third)))
            print(
                f"{third:,} requests: {early:.0f} MiB half-way, {soak.resident():.0f} MiB at the end",
                flush=True,
            )
            asked = asyncio.run(away(soak, server, range(third, 2 * third), options.away))
            print(
                f"database away for {options.away:.0f} s: {asked:,} requests answered meanwhile, "
                f"{soak.failed} failed; {soak.resident():.0f} MiB",
                flush=True,
            )
            asyncio.run(soak.killed(range(2 * third, options.requests)))
            took = time.monotonic() - begun
            soak.process.send_signal(signal.SIGTERM)
            soak.process.wait(timeout=120)
            print(f"{len(soak.answered):,} of {options.requests:,} answered in {took:.0f} s")
            print(compare(soak, database))
        finally:
            soak.process.kill()
            upstream.terminate()


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
