"""A store with watch tables, on SQLite and on PostgreSQL; a gateway before a steerable server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from review.browsing import running
from review.conftest import postgres_server, store_url
from watch.helpers import Upstream, Words

from holdfast.review import Store
from holdfast.watch import Gateway, Spool, WatchPolicy, prepare

__all__ = ["postgres_server", "store_url"]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store, once per kind of database."""
    opened = prepare(Store(store_url))
    yield opened
    opened.close()


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Store]:
    """An empty SQLite store."""
    opened = prepare(Store(tmp_path / "watch.db"))
    yield opened
    opened.close()


class Setup:
    """A running gateway with its parts."""

    def __init__(self, url: str, gateway: Gateway, upstream: Upstream, words: Words) -> None:
        self.url, self.gateway, self.upstream, self.words = url, gateway, upstream, words

    def records(self) -> list[dict[str, Any]]:
        return [r for _, _, piece in self.gateway.spool.read({}) for r in piece]

    def last(self) -> dict[str, Any]:
        """The last record, once the exchange is over: it is written after the last bytes are sent."""
        deadline = time.monotonic() + 15
        while (record := self.records()[-1])["kind"] != "finished" and time.monotonic() < deadline:
            time.sleep(0.02)
        return record


class Switch:
    """One running server whose application each test replaces."""

    def __init__(self) -> None:
        self.target: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.target(scope, receive, send)


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[Switch, str, Switch, str]]:
    """A model server and a gateway, running."""
    back, front = Switch(), Switch()
    with (
        running(back, log_level="critical", lifespan="off") as back_url,
        running(front, lifespan="off") as front_url,
    ):
        yield back, back_url, front, front_url


@pytest.fixture
def start(tmp_path: Path, servers: tuple[Switch, str, Switch, str]) -> Callable[..., Setup]:
    """Put a gateway with a policy, and a fresh model server, behind the running servers."""
    back, back_url, front, front_url = servers

    def make(**policy: Any) -> Setup:
        upstream, words = Upstream(), Words()
        made = WatchPolicy(upstream=f"{back_url}/v1", judge="", **policy)
        spool = Spool(tmp_path / f"spool-{time.monotonic_ns()}", made.limits.spool_bytes)
        gateway = Gateway(made, spool, screening=words)  # type: ignore[arg-type]
        back.target, front.target = upstream, gateway
        return Setup(front_url, gateway, upstream, words)

    return make
