"""The store on SQLite and on PostgreSQL: decisions, chain, undo, two reviewers, search."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from review.helpers import fill, make_item
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from holdfast.errors import InputError, RunError
from holdfast.review import (
    Choice,
    Filter,
    Store,
    agreement,
    decide,
    decide_many,
    import_items,
    undo,
    verify,
)
from holdfast.review.queries import count, ids, neighbours, next_id, one, page, progress


def state(store: Store, item: int) -> tuple[str, str | None, str | None]:
    with store.read() as connection:
        found = one(connection, item)
    return found["state"], found["outcome"], found["label"]


def test_a_decision_is_kept_with_who_when_why_and_what_was_seen(store: Store) -> None:
    first, *_ = fill(store)
    with store.read() as connection:
        seen = one(connection, first)["seen"]
    decide(store, first, "ana", Choice("drop", why="asks for harm"), seen=seen)
    with store.read() as connection:
        (entry,) = one(connection, first)["history"]
    assert (entry["who"], entry["action"], entry["label"], entry["why"]) == (
        "ana",
        "drop",
        "harmful",
        "asks for harm",
    )
    assert entry["seen"] == seen
    assert entry["at"].endswith("+00:00")
    assert state(store, first) == ("decided", "drop", "harmful")
    assert verify(store).ok


def test_a_decision_about_something_else_than_was_shown_is_refused(store: Store) -> None:
    first, *_ = fill(store)
    with pytest.raises(InputError, match="not what you were shown"):
        decide(store, first, "ana", Choice("keep"), seen="0" * 64)
    assert state(store, first)[0] == "open"


@pytest.mark.parametrize(
    "choice", [Choice("burn"), Choice("relabel"), Choice("keep", "nice"), Choice("edit", edited="not json")]
)
def test_bad_choices_are_refused(store: Store, choice: Choice) -> None:
    first, *_ = fill(store, 1)
    with pytest.raises(InputError):
        decide(store, first, "ana", choice)


def test_decisions_cannot_be_updated_or_deleted(store: Store) -> None:
    first, *_ = fill(store)
    decide(store, first, "ana", Choice("keep"))
    for statement in ("UPDATE decisions SET why = 'x'", "DELETE FROM decisions"):
        with pytest.raises(DBAPIError, match="append-only"), store.write() as connection:
            connection.execute(text(statement))
    assert verify(store).ok


def _without_triggers(store: Store, statement: str) -> None:
    """What somebody with full rights on the database could do."""
    with store.write() as connection:
        if store.dialect == "sqlite":
            connection.execute(text("DROP TRIGGER decisions_no_update"))
            connection.execute(text("DROP TRIGGER decisions_no_delete"))
        else:
            connection.execute(text("ALTER TABLE decisions DISABLE TRIGGER USER"))
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE decisions SET action = 'keep' WHERE seq = 2", "decision 2 was changed"),
        ("UPDATE decisions SET who = 'eve' WHERE seq = 1", "decision 1 was changed"),
        ("DELETE FROM decisions WHERE seq = 2", "decision 2 is missing"),
        ("DELETE FROM decisions WHERE seq = 3", "decisions were removed"),
        ("UPDATE items SET state = 'open', outcome = NULL WHERE id = 1", "state of item 1"),
        ("UPDATE votes SET seq = 1 WHERE seq = 2", "vote of ana"),
        ("UPDATE items SET messages = '{}' WHERE id = 2", "item 2 was changed"),
    ],
)
def test_tampering_shows(store: Store, statement: str, says: str) -> None:
    for item in fill(store, 3):
        decide(store, item, "ana", Choice("drop"))
    assert verify(store).ok
    _without_triggers(store, statement)
    found = verify(store)
    assert not found.ok
    assert any(says in problem for problem in found.problems), found.problems


def test_a_rewritten_end_shows_against_a_head_noted_earlier(store: Store) -> None:
    first, second, _ = fill(store, 3)
    decide(store, first, "ana", Choice("keep"))
    decide(store, second, "ana", Choice("drop"))
    noted = verify(store).head
    with store.read() as connection:
        kept = connection.execute(text("SELECT hash FROM decisions WHERE seq = 1")).scalar_one()
    _without_triggers(store, "DELETE FROM decisions WHERE seq = 2")
    with store.write() as connection:
        connection.execute(text("DELETE FROM votes WHERE seq = 2"))
        connection.execute(text("UPDATE items SET state = 'open', outcome = NULL, label = NULL WHERE id = 2"))
        connection.execute(text("UPDATE chain SET seq = 1, head = :head"), {"head": kept})
    assert verify(store).ok  # consistent in itself ...
    assert not verify(store, head=noted).ok  # ... but not with what was noted


def test_undo_brings_back_the_decision_before(store: Store) -> None:
    first, *_ = fill(store)
    decide(store, first, "ana", Choice("keep"))
    second = decide(store, first, "ana", Choice("drop"))
    assert state(store, first) == ("decided", "drop", "harmful")
    assert undo(store, "ana", seq=second) == [first]
    assert state(store, first) == ("decided", "keep", "safe")
    assert undo(store, "ana", seq=second) == []  # already taken back
    assert undo(store, "ana", seq=1) == [first]
    assert state(store, first) == ("open", None, None)
    assert verify(store).ok


def test_nobody_undoes_somebody_elses_decision_but_a_lead(store: Store) -> None:
    first, *_ = fill(store)
    seq = decide(store, first, "ana", Choice("keep"))
    with pytest.raises(InputError, match="somebody else"):
        undo(store, "ben", seq=seq)
    assert undo(store, "lea", seq=seq, any_user=True) == [first]
    assert state(store, first)[0] == "open"
    assert verify(store).ok


def test_bulk_is_decided_and_undone_together(store: Store) -> None:
    numbers = fill(store, 7)
    bulk = decide_many(store, numbers, "ana", Choice("drop", why="same spam"), chunk=3)
    assert {state(store, n)[0] for n in numbers} == {"decided"}
    assert sorted(undo(store, "ana", bulk=bulk)) == sorted(numbers)
    assert {state(store, n)[0] for n in numbers} == {"open"}
    assert verify(store).decisions == 14
    with pytest.raises(InputError, match="one item"):
        decide_many(store, numbers, "ana", Choice("edit", edited="{}"))


def test_two_reviewers_must_agree_and_a_lead_settles(store: Store) -> None:
    first, second, third = fill(store, 3, reviewers=2)
    decide(store, first, "ana", Choice("keep"))
    assert state(store, first)[0] == "open"
    with store.read() as connection:  # the item leaves the first reviewer's own queue
        assert first not in ids(connection, Filter(without="ana"))
        assert first in ids(connection, Filter(without="ben"))
    decide(store, first, "ben", Choice("keep"))
    assert state(store, first) == ("decided", "keep", "safe")
    decide(store, second, "ana", Choice("keep"))
    decide(store, second, "ben", Choice("drop"))
    assert state(store, second)[0] == "disputed"
    decide(store, second, "lea", Choice("drop", final=True))
    assert state(store, second) == ("decided", "drop", "harmful")
    assert agreement(store).items == 2
    assert agreement(store).equal == 1
    assert state(store, third)[0] == "open"
    assert verify(store).ok


def test_queue_is_gravest_first_and_pages_do_not_overlap(store: Store) -> None:
    new = [make_item(n, score=n / 100) for n in range(1, 31)]
    new += [make_item(100, severity="block", score=0.1), make_item(101, severity="note", score=1.0)]
    import_items(store, new, name="b", kind="screen", digest="d")
    with store.read() as connection:
        seen, after = [], 0
        while rows := page(connection, Filter(), after=after, size=7):
            seen += [row["line"] for row in rows]
            after = rows[-1]["rank"]
        assert seen == [100, *range(30, 0, -1), 101]
        assert next_id(connection, Filter(), after=after) is None


def test_filters(store: Store) -> None:
    fill(store, 4)
    import_items(store, [make_item(9, "bees and honey", code="ID201")], name="b", kind="watch", digest="w")
    with store.read() as connection:
        assert len(ids(connection, Filter(code="ID201"))) == 1
        assert len(ids(connection, Filter(kind="watch"))) == 1
        assert len(ids(connection, Filter(kind="screen"))) == 4
        assert len(ids(connection, Filter(text="HONEY bees"))) == 1
        assert count(connection, Filter()) == 5
        assert count(connection, Filter(), limit=3) == 3
        assert progress(connection).codes == {"HC101": 4, "ID201": 1}


@pytest.mark.parametrize(
    "words",
    [
        "'; DROP TABLE items; --",
        '" OR 1=1 --',
        "NEAR(a b)",
        "a* OR b",
        "text:ok",
        "\x00",
        "(((",
        "%",
        "&|!",
        "' UNION SELECT password FROM users --",
    ],
)
def test_search_words_are_data(store: Store, words: str) -> None:
    fill(store, 3)
    with store.read() as connection:
        assert ids(connection, Filter(text=words)) == []
        assert ids(connection, Filter(code=words)) == []
        assert len(ids(connection, Filter(text="question"))) == 3


def test_hostile_text_survives(store: Store) -> None:
    nasty = "nul \x00 surrogate \ud800 <script>alert(1)</script> '; DROP TABLE items; --"
    import_items(store, [make_item(1, nasty, reason=nasty)], name="b\x00", kind="screen", digest="n")
    with store.read() as connection:
        (number,) = ids(connection, Filter())
        assert one(connection, number)["messages"][0]["content"] == nasty
    decide(store, number, "ana", Choice("keep", why=nasty))
    assert verify(store).ok


def test_near_duplicates_share_a_cluster(store: Store) -> None:
    base = "how do I grow tomatoes on a small balcony in a cold and rainy city in the north "
    base += "where the summer is short and the wind takes the blossoms before the bees arrive in June"
    texts = [
        base,
        base + " please",
        base.replace("small", "tiny"),
        "write a poem about the sea and its ships",
    ]
    import_items(
        store, [make_item(n, t) for n, t in enumerate(texts, 1)], name="b", kind="screen", digest="c"
    )
    with store.read() as connection:
        clusters = [one(connection, n)["cluster"] for n in (1, 2, 3, 4)]
        assert clusters[:3] == [1, 1, 1]
        assert clusters[3] == 4
        around = neighbours(connection, one(connection, 1))
        assert [row["id"] for row in around["near"]] == [2, 3]
        assert around["same_rule_count"] == 4


def test_near_duplicates_are_found_across_imports_and_reopening(store_url: str) -> None:
    words = "how do I grow tomatoes on a small balcony in a cold and rainy city in the north where it rains"
    store = Store(store_url)
    import_items(store, [make_item(1, words), make_item(2, "a poem")], name="a", kind="screen", digest="a")
    store.close()
    again = Store(store_url)
    import_items(again, [make_item(3, words + " please")], name="b", kind="audit", digest="b")
    new = [make_item(4, words), make_item(5, "a poem about the sea and ships that come home late")]
    import_items(again, new, name="c", kind="watch", digest="c")
    with again.read() as connection:
        assert [one(connection, n)["cluster"] for n in (1, 2, 3, 4, 5)] == [1, 2, 1, 1, 5]
        assert [row["id"] for row in neighbours(connection, one(connection, 4))["near"]] == [1, 3]
    again.close()


def test_an_older_store_is_upgraded_and_its_items_are_found(store_url: str) -> None:
    words = "how do I grow tomatoes on a small balcony in a cold and rainy city in the north where it rains"
    store = Store(store_url)
    import_items(store, [make_item(1, words)], name="a", kind="screen", digest="a")
    with store.write() as connection:  # as the first version left it
        connection.execute(text("DROP TABLE item_signatures"))
        connection.execute(text("UPDATE review_version SET version_num = 'r001'"))
    store.close()
    again = Store(store_url)
    import_items(again, [make_item(2, words)], name="b", kind="screen", digest="b")
    with again.read() as connection:
        assert one(connection, 2)["cluster"] == 1
    assert verify(again).ok
    again.close()


def test_importing_again_adds_nothing_and_an_interrupted_import_goes_on(store: Store) -> None:
    new = [make_item(n) for n in range(1, 6)]
    import_items(store, new[:3], name="b", kind="screen", digest="same")  # "killed" after three
    done = import_items(store, new, name="b", kind="screen", digest="same")
    assert (done.added, done.known) == (2, 3)
    assert import_items(store, new, name="b", kind="screen", digest="same").added == 0
    with store.read() as connection:
        assert len(ids(connection, Filter())) == 5


def test_parallel_decisions_make_one_chain(store: Store) -> None:
    numbers = fill(store, 24)

    def work(who: str, mine: list[int]) -> None:
        for item in mine:
            decide(store, item, who, Choice("keep"))

    threads = [threading.Thread(target=work, args=(f"r{i}", numbers[i::4])) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify(store)
    assert found.ok, found.problems
    assert found.decisions == 24


def test_opening_again_keeps_everything(store_url: str) -> None:
    store = Store(store_url)
    first, *_ = fill(store, 2)
    decide(store, first, "ana", Choice("keep"))
    store.close()
    again = Store(store_url)
    assert verify(again).decisions == 1
    again.close()


def test_a_newer_store_is_refused(store_url: str) -> None:
    store = Store(store_url)
    with store.write() as connection:
        connection.execute(text("UPDATE review_version SET version_num = 'r999'"))
    store.close()
    with pytest.raises(InputError, match="upgrade holdfast"):
        Store(store_url)


def test_unusable_urls_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        Store(tmp_path)
    with pytest.raises(InputError, match="not supported"):
        Store("mysql://x/y")
    with pytest.raises(RunError, match="cannot be used"):
        Store("postgresql://nobody@127.0.0.1:1/none")
    (tmp_path / "text.db").write_text("this is not a database, only some text" * 50)
    with pytest.raises(InputError, match="not a store"):
        Store(tmp_path / "text.db")
