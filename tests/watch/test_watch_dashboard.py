"""The live page: behind the entrance, live, light, dark, on a phone, accessible."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from review.browsing import DESK, PHONE, ROOT, axe, chromium, fits, running
from sqlalchemy import insert
from starlette.testclient import TestClient
from watch.helpers import finished

from holdfast.review import Store
from holdfast.review.store import now
from holdfast.review.users import add_user, open_session
from holdfast.review.web.access import COOKIE, Access
from holdfast.watch import WatchPolicy
from holdfast.watch.calendar import plan
from holdfast.watch.dashboard import create_dashboard
from holdfast.watch.records import take_over
from holdfast.watch.schema import canaries
from holdfast.watch.summary import summary

POLICY = WatchPolicy(
    upstream="http://127.0.0.1:9/v1",
    judge="",
    drift={
        "alpha": 0.01,
        "baselines": {"harmful": {"rate": 0.01, "n": 500}, "refusal": {"rate": 0.2, "n": 500}},
    },
)
NASTY = "<img src=x onerror=alert(1)>"


def traffic(store: Store, first: int, count: int, harmful_every: int) -> None:
    start = datetime.now(UTC) - timedelta(minutes=50)
    records = []
    for number in range(first, first + count):
        at = (start + timedelta(seconds=(number * 7) % 3000)).isoformat(timespec="microseconds")
        values: dict[str, Any] = {
            "at": at,
            "tenant": "shop",
            "model": "support-7b",
            "added_ms": 2 + number % 5,
        }
        if number % harmful_every == 0:
            values |= {"outcome": "harmful", "severity": "block", "codes": ["JUDGE"], "action": "block"}
            values |= {"hazard": "malware", "reason": f"the judge calls the answer harmful {NASTY}"}
        elif number % 9 == 0:
            values |= {"outcome": "refusal", "refused": True}
        records.append(finished(number, **values))
    with store.write() as connection:
        take_over(connection, records, POLICY)


@pytest.fixture
def filled(lite: Store) -> Store:
    traffic(lite, 1, 400, 97)
    add_user(lite, "lea", "lead", "correct horse battery")
    plan(lite, "support-7b", 30, last="2026-01-01")
    with lite.write() as connection:
        verdict = {"id": 1, "at": now(), "model": "openai:support-7b@http://h/v1", "verdict": "ok"}
        connection.execute(insert(canaries).values(**verdict, detail="{}"))
    return lite


def test_numbers(filled: Store) -> None:
    found = summary(filled)
    rates = {rate.name: rate for rate in found["rates"]}
    assert found["total"] == 400
    assert (rates["harmful answers"].hits, rates["harmful answers"].n) == (4, 400)
    low, high = rates["harmful answers"].interval
    assert low < 0.01 < high
    assert found["models"][0]["verdict"][0] == "ok"
    assert found["latency"]["median"] == 4
    assert sum(point["judged"] for point in found["points"]) == 400
    assert found["due"][0]["overdue"]


def test_only_behind_the_entrance_and_escaped(filled: Store) -> None:
    app = create_dashboard(filled, Access(filled))
    web = TestClient(app, base_url="http://testserver", follow_redirects=False)
    for path in ("/watch", "/watch/events"):
        assert web.get(path).status_code == 303
    web.cookies.set(COOKIE, open_session(filled, "lea"))
    page = web.get("/watch").text
    assert "support-7b" in page and "&lt;img src=x" in page and "<img" not in page
    assert " style=" not in page and "<style" not in page
    assert 'href="/watch"' in web.get("/").text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.slow
@pytest.mark.browser
def test_live_light_dark_phone_accessible(browser: Any, filled: Store, tmp_path: Path) -> None:
    with running(create_dashboard(filled, Access(filled), every_s=0.2)) as url:
        for size, name in ((DESK, "desk"), (PHONE, "phone")):
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport=size, color_scheme=scheme)
                cookie = {"name": COOKIE, "value": open_session(filled, "lea"), "url": url}
                context.add_cookies([cookie])
                page = context.new_page()
                page.goto(url + "/watch")
                assert fits(page)
                ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark")
                if os.environ.get("HOLDFAST_SHOTS"):
                    path = ROOT / "docs" / "images" / f"watch-{name}-{scheme}.png"
                    page.screenshot(path=path, full_page=name == "desk")
                context.close()
        context = browser.new_context(viewport=DESK)
        context.add_cookies([{"name": COOKIE, "value": open_session(filled, "lea"), "url": url}])
        page = context.new_page()
        page.set_default_timeout(90_000)  # a busy machine is slow, not broken
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url + "/watch")
        page.wait_for_selector("#live-state:has-text('live')")
        assert page.get_by_text("Last alarm").count() == 0
        traffic(filled, 1000, 300, 3)  # a third of the answers turns harmful
        page.wait_for_selector("text=Last alarm")
        assert page.get_by_text("rate of harmful is above").count() >= 1
        assert errors == []
        assert axe(page) == []
