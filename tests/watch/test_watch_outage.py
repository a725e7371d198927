"""The gateway's real process while its PostgreSQL is away: traffic goes on, every record arrives once."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import httpx
import pytest
from review.browsing import running
from review.postgres import binaries, postgres
from sqlalchemy import func, select
from watch.helpers import Upstream
from watch.test_watch_process import burst, free_port, gateway, no_gateway_left

from holdfast.review import Store
from holdfast.watch import prepare
from holdfast.watch.schema import exchanges

__all__ = ["no_gateway_left"]
pytestmark = pytest.mark.slow


def test_the_database_goes_away_during_traffic(tmp_path: Path) -> None:
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    with running(Upstream(), lifespan="off") as upstream, postgres(fsync=True) as server:
        (tmp_path / "watch.yaml").write_text(f"upstream: {upstream}/v1\njudge: ''\nretention_days: 9999\n")
        database, port = server.database(), free_port()
        url = f"http://127.0.0.1:{port}"
        process = gateway(tmp_path, port, "--store", database)
        assert len(asyncio.run(burst(url, 100, 16))) == 100
        server.stop("immediate")
        assert len(asyncio.run(burst(url, 100, 16))) == 100  # nobody notices
        time.sleep(1.5)
        assert len(asyncio.run(burst(url, 100, 16))) == 100
        waiting = httpx.get(f"{url}/metrics").text.split("\nholdfast_watch_spool_bytes ")[1].split("\n")[0]
        assert float(waiting) > 10_000  # the operator sees what waits
        process.send_signal(signal.SIGKILL)  # and on top of it the gateway dies
        process.wait()
        server.start()
        process = gateway(tmp_path, port, "--store", database)
        assert len(asyncio.run(burst(url, 100, 16))) == 100
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        store = prepare(Store(database))
        with store.read() as connection:
            query = select(exchanges.c.model, func.count()).group_by(exchanges.c.model)
            kept = dict(connection.execute(query).tuples().all())
            states = set(connection.execute(select(exchanges.c.state)).scalars())
        store.close()
    assert kept == {f"n{number}": 4 for number in range(100)}
    assert states == {"done"}
