"""The real command in its own process: OpenAI's client through it, killed, restarted, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from review.browsing import running
from sqlalchemy import func, select
from watch.helpers import Upstream, finished

from holdfast.review import Store
from holdfast.watch import Spool, prepare
from holdfast.watch.schema import exchanges, offsets

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-c", "from holdfast.cli.app import main; main()"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


RUNNING: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def no_gateway_left() -> Iterator[None]:
    """A test that fails leaves no process behind."""
    yield
    while RUNNING:
        process = RUNNING.pop()
        process.kill()
        process.wait()


def gateway(folder: Path, port: int, *more: str) -> subprocess.Popen[bytes]:
    arguments = ["watch", "serve", "--config", "watch.yaml", "--port", str(port), *more]
    arguments += [] if "--store" in more else ["--store", "w.db"]
    process = subprocess.Popen([*COMMAND, *arguments], cwd=folder, stdout=subprocess.DEVNULL)
    RUNNING.append(process)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                return process
        except httpx.HTTPError:
            time.sleep(0.1)
        assert process.poll() is None, "the gateway ended"
    raise AssertionError("the gateway did not start")


async def burst(url: str, count: int, at_once: int) -> list[int]:
    """Requests whose answer was received in full; a killed server ends the burst."""
    answered: list[int] = []
    gate = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=at_once)) as client:

        async def one(number: int) -> None:
            body = {"model": f"n{number}", "messages": [{"role": "user", "content": f"hello {number}"}]}
            async with gate:
                try:
                    answer = await client.post(f"{url}/v1/chat/completions", json=body)
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    answered.append(number)

        await asyncio.gather(*(one(number) for number in range(count)))
    return answered


def test_soak_kill_restart(tmp_path: Path) -> None:
    """An hour of one request every two seconds (1,800), as fast as it goes, with a kill in the middle."""
    with running(Upstream(), lifespan="off") as upstream:
        (tmp_path / "watch.yaml").write_text(f"upstream: {upstream}/v1\njudge: ''\nretention_days: 9999\n")
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        process = gateway(tmp_path, port)
        answered = set(asyncio.run(burst(url, 300, 16)))
        memory = _resident(process.pid)  # now that everything is loaded
        answered |= set(asyncio.run(burst(url, 600, 16))) - answered
        grown = _resident(process.pid) - memory
        assert grown < 60 * 2**20, f"{grown / 2**20:.0f} MiB more after 600 exchanges"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(answered) == 600
        process = gateway(tmp_path, port)

        async def killed_under_load() -> list[int]:
            task = asyncio.ensure_future(burst(url, 600, 16))
            await asyncio.sleep(0.8)
            process.send_signal(signal.SIGKILL)
            return await task

        second = asyncio.run(killed_under_load())
        process.wait()
        third_process = gateway(tmp_path, port)
        assert len(asyncio.run(burst(url, 600, 16))) == 600
        third_process.send_signal(signal.SIGTERM)
        third_process.wait(timeout=30)
    store = prepare(Store(tmp_path / "w.db"))
    with store.read() as connection:
        query = select(exchanges.c.model, func.count()).group_by(exchanges.c.model)
        kept: dict[str, int] = dict(connection.execute(query).tuples().all())
        left = connection.execute(select(func.count()).select_from(offsets)).scalar_one()
    expected: dict[int, int] = {}
    for group in (answered, set(second), set(range(600))):
        for number in group:
            expected[number] = expected.get(number, 0) + 1
    lost = [number for number, times in expected.items() if kept.get(f"n{number}", 0) < times]
    assert lost == []
    assert left <= 2  # the spool was taken over and cleared


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    pytest.skip("no /proc on this system")


def test_workers_share_an_address_and_one_that_dies_comes_back(tmp_path: Path) -> None:
    with running(Upstream(), lifespan="off") as upstream:
        (tmp_path / "watch.yaml").write_text(f"upstream: {upstream}/v1\njudge: ''\nretention_days: 9999\n")
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        process = gateway(tmp_path, port, "--workers", "2")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        before = [pid for pid in children.read_text().split() if _is_worker(pid)]
        assert len(before) == 2
        done = asyncio.run(burst(url, 100, 16))
        assert len(done) == 100
        counted = httpx.get(f"{url}/metrics").text
        sums = [line for line in counted.splitlines() if line.startswith("holdfast_watch_exchanges_total{")]
        assert sum(float(line.split()[-1]) for line in sums) == 100  # over both
        os.kill(int(before[0]), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            now = [pid for pid in children.read_text().split() if _is_worker(pid)]
            if len(now) == 2 and before[0] not in now:
                break
            time.sleep(0.1)
        assert before[0] not in now and len(now) == 2
        assert len(asyncio.run(burst(url, 100, 16))) == 100
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in now)
        # Records in a spool that no worker owns any more are taken over by the next gateway.
        left = Spool(tmp_path / "watch-spool" / "7", 1 << 20)
        left.append(finished(1))
        left.close()
        alone = gateway(tmp_path, port)
        alone.send_signal(signal.SIGTERM)
        alone.wait(timeout=30)
    store = prepare(Store(tmp_path / "w.db"))
    with store.read() as connection:
        kept = connection.execute(select(func.count()).select_from(exchanges)).scalar_one()
    assert kept == 201


def test_a_killed_parent_leaves_no_worker_behind(tmp_path: Path) -> None:
    (tmp_path / "watch.yaml").write_text("upstream: http://127.0.0.1:9/v1\njudge: ''\n")
    port = free_port()
    process = gateway(tmp_path, port, "--workers", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def _is_worker(pid: str) -> bool:
    return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()


def test_openais_own_client(tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    with running(Upstream(), lifespan="off") as upstream:
        (tmp_path / "watch.yaml").write_text(f"upstream: {upstream}/v1\njudge: ''\n")
        port = free_port()
        process = gateway(tmp_path, port)
        try:
            client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="k", max_retries=0)
            ask: Any = {
                "model": "m",
                "messages": [{"role": "user", "content": "hi ANSWER:" + "good day " * 90}],
            }
            assert client.chat.completions.create(**ask).choices[0].message.content == "good day " * 90
            pieces = client.chat.completions.create(**ask, stream=True)
            text = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
            assert text == "good day " * 90
            done = client.completions.create(model="m", prompt="hi ANSWER:yes")
            assert done.choices[0].text == "yes"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def test_one_gateway_per_spool(tmp_path: Path) -> None:
    (tmp_path / "watch.yaml").write_text("upstream: http://127.0.0.1:9/v1\njudge: ''\n")
    process = gateway(tmp_path, free_port())
    try:
        arguments = ["watch", "serve", "--store", "w.db", "--port", str(free_port())]
        second = subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 2
        assert "another holdfast process" in second.stderr
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
