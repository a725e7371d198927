"""The page without a browser: who gets in, what is refused, what is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review.helpers import fill, make_item
from starlette.testclient import TestClient

from holdfast.errors import InputError, RunError
from holdfast.review import Choice, Store, decide, import_items, verify
from holdfast.review.queries import one
from holdfast.review.users import add_user, check_password, close_session, disable_user, open_session
from holdfast.review.web.access import COOKIE, Access
from holdfast.review.web.app import create_app
from holdfast.review.web.guard import RateLimit

SECRET = "correct horse battery"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "r.db")
    for name, role in (("ana", "reviewer"), ("ben", "reviewer"), ("lea", "lead"), ("vic", "viewer")):
        add_user(store, name, role, SECRET)
    yield store
    store.close()


def client(db: Store, who: str | None = None, **access: Any) -> TestClient:
    made = TestClient(
        create_app(db, Access(db, **access)), base_url="http://testserver", follow_redirects=False
    )
    if who:
        made.cookies.set(COOKIE, open_session(db, who))
    return made


def csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page
    return found.group(1)


def seen(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page)
    assert found
    return found.group(1)


def history(db: Store, item: int) -> list[dict[str, Any]]:
    with db.read() as connection:
        return one(connection, item)["history"]  # type: ignore[no-any-return]


def test_nothing_is_shown_without_a_session(db: Store) -> None:
    fill(db, 3)
    anonymous = client(db)
    for path in ("/", "/next", "/item/1", "/progress"):
        answer = anonymous.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert "question" not in answer.text
    for path in ("/item/1/decide", "/undo", "/bulk", "/assign", "/item/1/comment", "/item/1/assign"):
        data = {"action": "keep", "seen": "x", "csrf": "x"}
        assert anonymous.post(path, data=data).status_code in (303, 403)
    assert verify(db).decisions == 0


@pytest.mark.parametrize("cookie", ["", "x", "' OR 1=1 --", "ana", "A" * 5000])
def test_forged_sessions_are_nobody(db: Store, cookie: str) -> None:
    web = client(db)
    answer = web.get("/", headers={"cookie": f"{COOKIE}={cookie}"})
    assert answer.status_code == 303


def test_sessions_end(db: Store) -> None:
    web = client(db, "ana")
    assert web.get("/").status_code == 200
    token = web.cookies[COOKIE]
    close_session(db, token)
    assert web.get("/").status_code == 303
    web = client(db, "ben")
    disable_user(db, "ben")
    assert web.get("/").status_code == 303


def test_login_logout(db: Store) -> None:
    web = client(db)
    assert web.post("/login", data={"name": "ana", "password": "wrong password"}).status_code == 403
    answer = web.post("/login", data={"name": "ana", "password": SECRET})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    page = web.get("/")
    assert page.status_code == 200
    assert web.post("/logout", data={"csrf": csrf(page.text)}).headers["location"] == "/login"
    assert web.get("/").status_code == 303


def test_guessing_passwords_is_slowed_down(db: Store) -> None:
    web = client(db)
    codes = [
        web.post("/login", data={"name": "ana", "password": f"guess number {n}"}).status_code
        for n in range(8)
    ]
    assert codes[:5] == [403] * 5
    assert codes[5:] == [429] * 3
    assert web.post("/login", data={"name": "ana", "password": SECRET}).status_code == 429


def test_rate_limit_is_bounded_and_ignores_clock_jumps() -> None:
    time = [0.0]
    limit = RateLimit(2, 60, keys=3, clock=lambda: time[0])
    assert [limit.allow("a") for _ in range(3)] == [True, True, False]
    time[0] += 1
    assert limit.allow("a")
    for key in "bcdefgh":
        limit.allow(key)
    assert len(limit._buckets) == 3


def test_passwords_have_no_default_and_are_hashed(db: Store) -> None:
    with pytest.raises(InputError, match="12"):
        add_user(db, "new", "lead", "short")
    add_user(db, "sso", "reviewer")
    for guess in ("", "None", "password", "sso"):
        assert not check_password(db, "sso", guess)
    assert not check_password(db, "nobody", SECRET)
    with db.read() as connection:
        stored = connection.exec_driver_sql("SELECT password FROM users WHERE name = 'ana'").scalar_one()
    assert stored.startswith("$argon2id$") and SECRET not in stored


def test_a_decision_by_form(db: Store) -> None:
    first, *_ = fill(db, 3)
    web = client(db, "ana")
    page = web.get(f"/item/{first}").text
    form = {"csrf": csrf(page), "seen": seen(page), "action": "drop", "why": "no <b>good</b>"}
    answer = web.post(f"/item/{first}/decide", data=form)
    assert answer.status_code == 303
    following = web.get(answer.headers["location"]).headers["location"]
    assert "done=1" in following
    assert "Undo" in web.get(following).text
    (entry,) = history(db, first)
    assert (entry["who"], entry["action"]) == ("ana", "drop")
    page = web.get(f"/item/{first}").text
    assert "no &lt;b&gt;good&lt;/b&gt;" in page and "<b>good" not in page
    web.post("/undo", data={"csrf": csrf(page), "seq": "1"})
    assert [e["action"] for e in history(db, first)] == ["drop", "undo"]


def test_cross_site_posts_are_refused(db: Store) -> None:
    first, *_ = fill(db, 1)
    web = client(db, "ana")
    page = web.get(f"/item/{first}").text
    good = {"csrf": csrf(page), "seen": seen(page), "action": "keep"}
    other = client(db, "ben").get(f"/item/{first}").text
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        ({**good, "csrf": ""}, {}),
        ({**good, "csrf": "x"}, {}),
        ({**good, "csrf": csrf(other)}, {}),  # somebody else's token
        (good, {"origin": "https://evil.example"}),
        (good, {"origin": "null"}),
        (good, {"sec-fetch-site": "cross-site"}),
    ]
    for data, headers in attempts:
        assert web.post(f"/item/{first}/decide", data=data, headers=headers).status_code == 403
    login = {"name": "ana", "password": SECRET}
    assert web.post("/login", data=login, headers={"origin": "https://evil.example"}).status_code == 403
    assert verify(db).decisions == 0
    assert web.get(f"/item/{first}/decide").status_code == 405
    assert (
        web.post(f"/item/{first}/decide", data=good, headers={"origin": "http://testserver"}).status_code
        == 303
    )


def test_a_viewer_may_only_look(db: Store) -> None:
    first, *_ = fill(db, 1)
    web = client(db, "vic")
    page = web.get(f"/item/{first}").text
    assert 'name="action"' not in page
    form = {"csrf": csrf(page), "seen": "x", "action": "keep"}
    assert web.post(f"/item/{first}/decide", data=form).status_code == 403
    assert verify(db).decisions == 0


def test_reviewers_do_not_do_a_leads_work(db: Store) -> None:
    first, *_ = fill(db, 1)
    seq = decide(db, first, "ben", Choice("keep"))
    web = client(db, "ana")
    token = csrf(web.get("/").text)
    assert web.post("/undo", data={"csrf": token, "seq": str(seq)}).status_code == 400
    assert web.post("/assign?state=", data={"csrf": token, "who": "ben"}).status_code == 403
    assert len(history(db, first)) == 1
    lead = client(db, "lea")
    token = csrf(lead.get("/").text)
    assert lead.post("/undo", data={"csrf": token, "seq": str(seq)}).status_code == 303
    assert lead.post("/assign?state=", data={"csrf": token, "who": "ben"}).status_code == 303
    with db.read() as connection:
        assert one(connection, first)["assignee"] == "ben"


@pytest.mark.parametrize("number", ["0", "999", "-1", "1;DROP TABLE items", "9" * 40, "../../etc/passwd"])
def test_odd_item_numbers(db: Store, number: str) -> None:
    fill(db, 1)
    assert client(db, "ana").get(f"/item/{number}").status_code in (400, 404, 422)


@pytest.mark.parametrize(
    "query",
    [
        "text=%27%3B+DROP+TABLE+items%3B--",
        "text=%22",
        "code=%27+OR+1%3D1--",
        "cluster=1%20OR%201",
        "cluster=%C2%B2",
        "after=-1",
        "after=" + "9" * 30,
        "state=%00",
        "assignee=%27",
        "text=%ED%A0%80",
    ],
)
def test_odd_filters_show_nothing_and_break_nothing(db: Store, query: str) -> None:
    fill(db, 2)
    answer = client(db, "ana").get(f"/?{query}")
    assert answer.status_code in (200, 400, 422)
    assert "question number" not in answer.text
    assert client(db, "ana").get("/").text.count("question number") == 2


def test_a_script_in_a_row_is_text(db: Store) -> None:
    nasty = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'</textarea>{{ 7*7 }}"
    item = make_item(1, nasty, reason=nasty, decoded=nasty, code='X"><script>', span=[0, 9])
    import_items(db, [item], name=nasty, kind="screen", digest="x")
    web = client(db, "ana")
    for path in ("/", "/item/1", "/progress", "/?code=" + "%22%3E%3Cscript%3E", f"/?text={nasty}"):
        page = web.get(path).text
        assert "<script>alert" not in page and "<img" not in page and '"><script>' not in page, path
        assert "</textarea>{{" not in page


def test_every_answer_has_the_security_headers(db: Store) -> None:
    web = client(db, "ana")
    for path in ("/", "/login", "/nowhere", "/static/review.js", "/item/77"):
        headers = web.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    assert client(db, "ana").get("/").headers["cache-control"] == "no-store"


def test_pages_need_no_inline_code(db: Store) -> None:
    fill(db, 2)
    web = client(db, "lea")
    for path in ("/", "/item/1", "/progress", "/login"):
        page = web.get(path).text
        assert " style=" not in page and "<style" not in page
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"\son\w+=", page)


def test_oversized_and_ambiguous_requests(db: Store) -> None:
    web = client(db, "ana")
    assert web.post("/login", content=b"x" * (5 << 20)).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(80):
            yield b"name=" + b"a" * (64 << 10)

    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert web.post("/login", content=endless(), headers=kind).status_code in (400, 413)
    both = [("content-length", "5"), ("transfer-encoding", "chunked")]
    assert web.request("POST", "/login", headers=both, content=b"a=b&c").status_code == 400
    assert web.get("/login", headers=[("host", "a"), ("host", "b")]).status_code == 400


def test_local_mode_answers_to_loopback_names_only_and_its_token_once(db: Store) -> None:
    access = Access(db, local=True)
    web = TestClient(create_app(db, access), base_url="http://127.0.0.1:8765", follow_redirects=False)
    assert web.get("/", headers={"host": "evil.example"}).status_code == 421
    assert web.get("/enter?token=wrong").status_code == 403
    token = access.token
    assert web.get(f"/enter?token={token}").status_code == 303
    assert web.get("/").status_code == 200
    again = TestClient(create_app(db, access), base_url="http://127.0.0.1:8765", follow_redirects=False)
    assert again.get(f"/enter?token={token}").status_code == 403
    assert again.get("/enter?token=").status_code == 403
    login = again.post("/login", data={"name": "ana", "password": SECRET})
    assert login.status_code == 403  # one person, one link


def sso(db: Store, peer: str) -> TestClient:
    access = Access(db, sso_header="X-User", proxies=("10.1.0.0/16",))
    return TestClient(
        create_app(db, access), base_url="http://testserver", client=(peer, 1234), follow_redirects=False
    )


def test_single_sign_on_only_from_the_proxy(db: Store) -> None:
    with pytest.raises(InputError, match="proxy"):
        Access(db, sso_header="X-User")
    inside = sso(db, "10.1.2.3")
    assert inside.get("/login", headers={"x-user": "ana"}).headers["location"] == "/"
    assert inside.get("/", headers={"x-user": "ana"}).status_code == 200
    # The proxy now names somebody else: the old cookie is worth nothing.
    assert inside.get("/", headers={"x-user": "lea"}).status_code == 303
    for peer, headers in (
        ("10.2.0.1", [("x-user", "ana")]),
        ("10.1.2.3", [("x-user", "nobody")]),
        ("10.1.2.3", [("x-user", "ana"), ("x-user", "lea")]),
        ("127.0.0.1", [("x-user", "ana"), ("x-forwarded-for", "10.1.2.3")]),
    ):
        outside = sso(db, peer)
        assert outside.get("/login", headers=headers).status_code == 200  # the password form
        assert outside.get("/", headers=headers).status_code == 303


def test_bulk_asks_first_and_is_undone_at_once(db: Store) -> None:
    fill(db, 6)
    web = client(db, "ana")
    token = csrf(web.get("/").text)
    assert web.post("/bulk", data={"csrf": token, "action": "drop"}).status_code == 400  # no rule, no cluster
    ask = web.post("/bulk?code=HC101", data={"csrf": token, "action": "drop"})
    assert "Drop 6 items?" in ask.text
    assert verify(db).decisions == 0
    done = web.post("/bulk?code=HC101", data={"csrf": token, "action": "drop", "confirmed": "6"})
    page = web.get(done.headers["location"]).text
    assert verify(db).decisions == 6
    bulk = re.search(r'name="bulk" value="(\w+)"', page)
    assert bulk
    web.post("/undo", data={"csrf": token, "bulk": bulk.group(1)})
    assert web.get("/").text.count("question number") == 6
    assert verify(db).ok


def test_bulk_decides_rows_of_screens_and_labels_the_others(db: Store) -> None:
    """Near duplicates are found across imports, so a cluster may hold an answer of an audit too."""
    words = "how do I grow tomatoes on a small balcony in a cold and rainy city in the north where it rains"
    for number, kind in enumerate(("screen", "screen", "audit", "watch"), 1):
        import_items(db, [make_item(number, words)], name=kind, kind=kind, digest=str(number))
    web = client(db, "ana")
    token = csrf(web.get("/").text)
    assert "kind=audit&amp;cluster=1" in web.get("/item/3").text
    drop = {"csrf": token, "action": "drop"}
    assert "Drop 2 items?" in web.post("/bulk?cluster=1", data=drop).text
    assert web.post("/bulk?cluster=1&kind=audit", data=drop | {"confirmed": "1"}).status_code == 400
    assert "<option>unsure" in web.get("/?cluster=1&kind=audit").text
    label = {"csrf": token, "action": "relabel", "confirmed": "1"}
    assert web.post("/bulk?cluster=1&kind=audit", data=label | {"label": "harmful"}).status_code == 400
    assert web.post("/bulk?cluster=1&kind=audit", data=label | {"label": "yes"}).status_code == 303
    assert web.post("/bulk?cluster=1&kind=watch", data=label | {"label": "harmful"}).status_code == 303
    assert web.post("/bulk?cluster=1", data=drop | {"confirmed": "2"}).status_code == 303
    with db.read() as connection:
        found = [one(connection, n)["label"] for n in (1, 2, 3, 4)]
    assert found == ["harmful", "harmful", "yes", "harmful"]
    assert verify(db).ok


def test_a_search_that_was_cut_says_so(db: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(db, 6)
    web = client(db, "ana")
    assert "of the first" not in web.get("/?text=question").text
    monkeypatch.setattr("holdfast.review.queries._MATCHES", 4)
    monkeypatch.setattr("holdfast.review.queries._matches.__defaults__", (4,))
    page = web.get("/?text=question").text
    assert "of the first 4 that hold these words" in page and page.count("question number") == 4
    assert "of the first" not in web.get("/?text=bees").text


def test_a_lead_settles_a_disputed_item(db: Store) -> None:
    first, *_ = fill(db, 1, reviewers=2)
    decide(db, first, "ana", Choice("keep"))
    decide(db, first, "ben", Choice("drop"))
    lead = client(db, "lea")
    page = lead.get(f"/item/{first}?state=disputed").text
    lead.post(f"/item/{first}/decide", data={"csrf": csrf(page), "seen": seen(page), "action": "drop"})
    with db.read() as connection:
        assert one(connection, first)["state"] == "decided"
    assert "alpha" in lead.get("/progress").text


def test_comments_edit_and_stale_forms(db: Store) -> None:
    first, *_ = fill(db, 1)
    web = client(db, "ana")
    page = web.get(f"/item/{first}").text
    token = csrf(page)
    assert (
        web.post(f"/item/{first}/comment", data={"csrf": token, "comment": "look & see"}).status_code == 303
    )
    assert "look &amp; see" in web.get(f"/item/{first}").text
    form = {"csrf": token, "seen": seen(page), "action": "edit", "edited": "{not json"}
    assert web.post(f"/item/{first}/decide", data=form).status_code == 400
    assert (
        web.post(f"/item/{first}/decide", data=form | {"seen": "0" * 64, "edited": "{}"}).status_code == 400
    )
    good = form | {"edited": '{"messages": [{"role": "user", "content": "better"}]}'}
    assert web.post(f"/item/{first}/decide", data=good).status_code == 303
    assert history(db, first)[0]["edited"] == good["edited"]


def test_harmful_text_is_veiled_until_revealed(db: Store) -> None:
    import_items(db, [make_item(1), make_item(2, code="FM101")], name="b", kind="screen", digest="x")
    web = client(db, "ana")
    assert 'class="text hazy"' in web.get("/item/1").text
    assert 'class="text hazy"' not in web.get("/item/1?reveal=1").text
    assert 'class="text hazy"' not in web.get("/item/2").text


def test_the_database_away_is_said_and_nothing_is_lost(db: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = fill(db, 1)
    web = TestClient(create_app(db, Access(db)), base_url="http://testserver", raise_server_exceptions=False)
    web.cookies.set(COOKIE, open_session(db, "ana"))
    page = web.get(f"/item/{first}").text
    real = db.write

    def away() -> Any:
        raise RunError("the store cannot be used", path="postgresql://u:secret@h/d", fix="try again")

    monkeypatch.setattr(db, "write", away)
    form = {"csrf": csrf(page), "seen": seen(page), "action": "keep"}
    answer = web.post(f"/item/{first}/decide", data=form)
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text and "secret" not in answer.text
    monkeypatch.setattr(db, "write", real)
    assert web.post(f"/item/{first}/decide", data=form).status_code in (200, 303)
    assert verify(db).decisions == 1
