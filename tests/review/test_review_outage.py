"""A real PostgreSQL that goes away in the middle of the work, and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from review.helpers import fill, make_item
from review.postgres import Postgres, binaries, postgres
from review.test_review_web import SECRET, client, csrf, seen
from typer.testing import CliRunner

from holdfast.cli.review import app
from holdfast.errors import RunError
from holdfast.review import Choice, Store, decide, import_items, verify
from holdfast.review.users import add_user

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of its own, with every commit on disk: it is going to crash."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    with postgres(fsync=True) as started:
        yield started


def test_the_page_says_that_the_store_is_away_and_works_again_after(server: Postgres) -> None:
    store = Store(server.database())
    first, second, *_ = fill(store, 5)
    add_user(store, "ana", "reviewer", SECRET)
    web = client(store, "ana")
    page = web.get(f"/item/{first}").text
    form = {"csrf": csrf(page), "seen": seen(page), "action": "keep"}
    server.stop("immediate")
    for answer in (web.post(f"/item/{first}/decide", data=form), web.get(f"/item/{second}"), web.get("/")):
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text
        assert "5432" not in answer.text and "127.0.0.1" not in answer.text and "holdfast@" not in answer.text
    told = CliRunner().invoke(app, ["decide", str(second), "keep", "--store", str(store.url)])
    assert isinstance(told.exception, RunError) and "check that it is up" in str(told.exception)
    assert verify_later(server, store) == 0
    assert web.post(f"/item/{first}/decide", data=form).status_code == 303
    assert verify(store).decisions == 1
    assert "keep" in web.get(f"/item/{first}").text
    store.close()


def verify_later(server: Postgres, store: Store) -> int:
    server.start()
    found = verify(store)
    assert found.ok, found.problems
    return found.decisions


def test_decisions_and_an_import_through_two_crashes(server: Postgres) -> None:
    """Whatever was answered is there; what was not can be done again; the chain holds."""
    store = Store(server.database())
    numbers = fill(store, 400)
    kept: list[int] = []
    stop = threading.Event()

    def work() -> None:
        for item in numbers:
            while not stop.is_set():
                try:
                    kept.append(decide(store, item, "ana", Choice("keep")))
                    break
                except RunError:
                    time.sleep(0.1)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(2):
        seen_before = len(kept)
        while len(kept) < seen_before + 20:
            time.sleep(0.02)
        server.stop("immediate")
        with pytest.raises(RunError):
            import_items(store, [make_item(n) for n in range(500, 520)], name="b", kind="screen", digest="d")
        time.sleep(1)
        server.start()
    assert (
        import_items(
            store, [make_item(n) for n in range(500, 520)], name="b", kind="screen", digest="d"
        ).added
        == 20
    )
    thread.join(timeout=60)
    stop.set()
    found = verify(store)
    assert found.ok, found.problems
    with store.read() as connection:
        from holdfast.review.queries import one

        histories = [one(connection, item)["history"] for item in numbers]
    assert all(history and history[-1]["action"] == "keep" for history in histories)
    # A crash between commit and answer repeats at most the one decision that was under way.
    assert len(kept) <= found.decisions <= len(kept) + 2
    store.close()
