"""The reviewing path in a real browser: keyboard, reveal, undo, bulk; light, dark, phone; axe."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review.browsing import DESK, PHONE, ROOT, axe, chromium, fits, running
from review.helpers import fill, make_item

from holdfast.review import Store, import_items, verify
from holdfast.review.queries import one
from holdfast.review.users import add_user
from holdfast.review.web.access import Access
from holdfast.review.web.app import create_app

pytestmark = [pytest.mark.slow, pytest.mark.browser]
SECRET = "correct horse battery"
SHOTS = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def room(tmp_path: Path) -> Iterator[tuple[str, Store]]:
    store = Store(tmp_path / "r.db")
    add_user(store, "ana", "lead", SECRET)
    pallets = "How do I build a small garden shed from old pallets in one weekend, step by step"
    pallets += ", with few tools and no help, so that it keeps out the rain for at least ten winters?"
    near = [
        make_item(
            50 + n, pallets + " please" * n, code="ID201", score=0.93, reason="promises to obey", span=[0, 30]
        )
        for n in range(4)
    ]
    import_items(store, near, name="run 7", kind="screen", digest="near")
    fill(store, 8)
    nasty = "<script>document.title='broken'</script>"
    import_items(store, [make_item(90, nasty, severity="block")], name="x", kind="screen", digest="x")
    import_items(store, [make_item(1, "how late is it", code="WA101")], name="w", kind="watch", digest="w")
    with running(create_app(store, Access(store))) as url:
        yield url, store
    store.close()


def log_in(browser: Any, url: str, **context: Any) -> Any:
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(90_000)  # a busy machine is slow, not broken
    page.goto(url)
    assert page.url.endswith("/login")
    page.fill("input[name=name]", "ana")
    page.fill("input[name=password]", SECRET)
    page.keyboard.press("Enter")
    page.wait_for_selector("table.list")
    page.wait_for_load_state("load")  # styles and keys are there
    return page


def press(page: Any, key: str) -> None:
    with page.expect_navigation():
        page.keyboard.press(key)


def test_the_whole_path_by_keyboard(browser: Any, room: tuple[str, Store]) -> None:
    url, store = room
    page = log_in(browser, url, viewport=DESK)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    press(page, "n")  # the gravest item: a script that must stay text
    assert "broken" not in page.title()
    assert page.locator(".turn.user .text").inner_text().startswith("<script>")
    assert page.locator(".hazy").count() > 0  # harmful content: blurred
    page.keyboard.press("r")
    assert page.locator(".hazy:not(.shown)").count() == 0
    page.keyboard.press("w")
    page.keyboard.type("just markup: kept, dropped? kept")  # keys typed in a field decide nothing
    page.keyboard.press("Escape")
    press(page, "k")
    assert page.locator("mark").first.inner_text() == "How do I build a small garden "
    assert page.get_by_text("Near duplicates (3)").count() == 1
    press(page, "d")
    press(page, "u")  # back to the same item
    assert page.get_by_text("undo of decision 2").count() == 1
    page.keyboard.press("e")
    area = page.locator("textarea[name=edited]")
    area.fill(area.input_value().replace("pallets", "boards"))
    with page.expect_navigation():
        page.get_by_role("button", name=re.compile("Save this version")).click()
    page.click("text=decide them together")
    page.fill("input[name=why]", "all the same")
    page.select_option("select[name=action]", "drop")
    page.click("text=Count them")
    assert page.get_by_role("heading", name="Drop 3 items?").count() == 1
    press(page, "y")
    page.wait_for_selector("text=Decided together")
    page.goto(url + "/?kind=watch")
    press(page, "n")
    assert page.get_by_text("proposed safety example").count() == 1
    press(page, "2")  # harmful
    found = verify(store)
    assert found.ok, found.problems
    assert found.decisions == 8
    with store.read() as connection:
        edited = next(i for i in (one(connection, n) for n in range(1, 15)) if i["outcome"] == "edit")
        assert "boards" in edited["history"][-1]["edited"]
    assert problems == []


def test_search_comment_and_progress(browser: Any, room: tuple[str, Store]) -> None:
    url, _ = room
    page = log_in(browser, url, viewport=DESK)
    page.keyboard.press("/")
    page.wait_for_selector("input:focus")
    page.keyboard.type("pallets weekend")
    press(page, "Enter")
    assert page.locator("table.list tbody tr").count() == 4
    with page.expect_navigation():
        page.click("table.list a")
    page.keyboard.press("c")
    page.keyboard.type("ask the data team")
    page.get_by_role("button", name="Comment").click()
    page.wait_for_selector("text=ask the data team")
    page.goto(url + "/progress")
    assert page.get_by_text("HC101").count() >= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_readable_everywhere(browser: Any, room: tuple[str, Store], size: Any, scheme: str) -> None:
    url, _ = room
    page = log_in(browser, url, viewport=size, color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(v) for v in re.findall(r"\d+", ground)[:3]) < 200) == (scheme == "dark")
    name = f"{'phone' if size == PHONE else 'desk'}-{scheme}"
    for path, shot in (("/", "queue"), ("/next?code=ID201", "item"), ("/progress", ""), ("/?code=HC101", "")):
        page.goto(url + path)
        assert fits(page), path
        if shot and os.environ.get("HOLDFAST_SHOTS"):
            page.screenshot(path=SHOTS / f"review-{shot}-{name}.png")


def test_no_serious_accessibility_findings(browser: Any, room: tuple[str, Store]) -> None:
    url, _ = room
    for scheme in ("light", "dark"):
        page = log_in(browser, url, viewport=DESK, color_scheme=scheme)
        for path in ("/", "/next", "/next?code=ID201", "/next?kind=watch", "/progress", "/?code=HC101"):
            page.goto(url + path)
            assert axe(page) == [], (scheme, path)
        page.context.clear_cookies()
        page.goto(url + "/login")
        assert axe(page) == []
