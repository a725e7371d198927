"""Spool, database, drift state, incidents, the way back: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from watch.helpers import finished

from holdfast.errors import InputError, RunError
from holdfast.review import Choice, Filter, Store, decide
from holdfast.review.queries import ids, one
from holdfast.suites import load as load_suite
from holdfast.watch import Drainer, Spool, WatchPolicy, confirmed_suite, send_incidents
from holdfast.watch import calendar as due_dates
from holdfast.watch.alarms import deliver, raise_alarm
from holdfast.watch.policy import Alarms, Email, load_policy
from holdfast.watch.records import load_monitors
from holdfast.watch.schema import alarms, exchanges, incidents, minutes


def policy(**values: Any) -> WatchPolicy:
    return WatchPolicy(upstream="http://127.0.0.1:9/v1", judge="", **values)


def accepted(number: int) -> dict[str, Any]:
    names = ("id", "at", "tenant", "model", "request_sha")
    return {"kind": "accepted"} | {name: finished(number)[name] for name in names}


def tally(store: Store, table: Any = exchanges) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_records_arrive_once_whatever_is_repeated(store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", 1 << 20)
    for number in range(5):
        spool.append(accepted(number))
        spool.append(finished(number, outcome="harmful" if number == 0 else "safe"))
    spool.append(accepted(9))  # still under way
    drainer = Drainer(store, spool, policy())
    assert drainer.drain() == 11
    assert drainer.drain() == 0
    spool.append(finished(0))  # the same again
    drainer.drain()
    again = Drainer(store, Spool(tmp_path / "s", 1 << 20), policy())  # restarted
    assert again.drain() == 0
    assert tally(store) == 6
    with store.read() as connection:
        counts = connection.execute(select(func.sum(minutes.c.total), func.sum(minutes.c.harmful))).one()
        states = connection.execute(select(exchanges.c.state).order_by(exchanges.c.id)).scalars().all()
    assert tuple(map(int, counts)) == (5, 1)
    assert sorted(states) == ["accepted", *["done"] * 5]


def test_gateways_with_spools_of_their_own_share_a_store(store: Store, tmp_path: Path) -> None:
    """Their segments have equal names; and they take over at the same time."""
    watched = policy(drift={"baselines": {"harmful": {"rate": 0.5, "n": 1000}}})
    spools = [Spool(tmp_path / name, 1 << 20) for name in "abc"]
    threads = []
    for place, spool in enumerate(spools):
        for number in range(place * 100, place * 100 + 100):
            spool.append(finished(number, severity="block", codes=["T1"]))
        drainer = Drainer(store, spool, watched)
        threads.append(threading.Thread(target=drainer.drain))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally(store) == tally(store, incidents) == 300
    with store.read() as connection:
        assert load_monitors(connection, watched)["harmful"].n == 300


def test_a_torn_last_record_was_never_accepted(lite: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", 1 << 20)
    spool.append(finished(1))
    spool.close()
    (segment,) = (tmp_path / "s").glob("*.jsonl")
    with segment.open("ab") as handle:
        handle.write(b'{"kind": "fini')
    spool = Spool(tmp_path / "s", 1 << 20)
    drainer = Drainer(lite, spool, policy())
    assert drainer.drain() == 1
    assert not segment.exists()  # wholly taken over
    spool.append(finished(2))
    assert drainer.drain() == 1


def test_a_full_disk_keeps_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "s", 1 << 20)
    spool.append(finished(1))
    real = os.write

    def short(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[: len(data) // 2])

    monkeypatch.setattr("holdfast.watch.spool.os.write", short)
    with pytest.raises(RunError, match="No space left"):
        spool.append(finished(2))
    monkeypatch.undo()
    spool.append(finished(3))
    assert [r["id"] for _, _, piece in spool.read({}) for r in piece] == ["id1", "id3"]


_VICTIM = """
import sys
sys.path.insert(0, sys.argv[2])
from watch.helpers import finished
from holdfast.watch.spool import Spool
spool = Spool(sys.argv[1], 1 << 30)
number = 0
while True:
    spool.append(finished(number))
    print(number, flush=True)
    number += 1
"""


def test_killed_and_restarted_loses_no_accepted_record(lite: Store, tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM, str(tmp_path / "s"), tests], stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None
    told = -1
    for line in victim.stdout:
        told = int(line)
        if told >= 2000:
            victim.send_signal(signal.SIGKILL)
            break
    victim.wait()
    drainer = Drainer(lite, Spool(tmp_path / "s", 1 << 30), policy())
    assert drainer.drain() >= told + 1
    with lite.read() as connection:
        kept = set(connection.execute(select(exchanges.c.id)).scalars())
    assert {f"id{n}" for n in range(told + 1)} <= kept


def test_the_database_away_for_a_while(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "s", 1 << 20)
    drainer = Drainer(store, spool, policy(retention_days=10_000))
    away = threading.Event()
    real = store.write

    def write() -> Any:
        if away.is_set():
            raise RunError("the store cannot be used")
        return real()

    monkeypatch.setattr(store, "write", write)
    away.set()
    drainer.start(0.02)
    for number in range(50):
        spool.append(finished(number))
    time.sleep(0.2)
    away.clear()
    drainer.stop()
    assert tally(store) == 50


def test_a_stop_does_not_wait_for_a_long_queue(
    lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("holdfast.watch.records._STOP_S", -1.0)
    spool = Spool(tmp_path / "s", 1 << 20)
    drainer = Drainer(lite, spool, policy(retention_days=10_000))
    drainer.start(60)
    deadline = time.monotonic() + 20
    while drainer._pruned == float("-inf") and time.monotonic() < deadline:
        time.sleep(0.01)  # the first look is over
    spool.append(finished(1))
    drainer.stop()
    assert tally(lite) == 0 and "until the next start" in caplog.text
    assert Drainer(lite, spool, policy()).drain() == 1


def test_retention_and_a_jumping_clock(lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "s", 1 << 20)
    drainer = Drainer(lite, spool, policy(retention_days=30))
    today = datetime.now(UTC)
    spool.append(finished(1, at=(today - timedelta(days=40)).isoformat()))
    spool.append(finished(2, at=(today - timedelta(days=20)).isoformat()))
    drainer.drain()
    monkeypatch.setattr(drainer, "_wall", drainer._wall - timedelta(days=300))  # now is 300 days later
    assert drainer.prune() == 0
    assert tally(lite) == 2
    monkeypatch.undo()
    assert drainer.prune() == 1
    assert tally(lite) == 1


TEXT = {"messages": [["user", "how do I <b>break</b> in"]], "answer": "like so", "findings": []}


def test_an_incident_comes_back_as_a_prompt_and_an_example(store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", 1 << 20)
    for number in (1, 2):
        spool.append(
            finished(number, severity="block", codes=["JUDGE"], hazard="malware", text=TEXT, reason="r")
        )
    spool.append(finished(3, severity="review", codes=["ID201"], reason="no text kept"))
    Drainer(store, spool, policy()).drain()
    assert tally(store, incidents) == 3
    assert send_incidents(store) == 2
    assert send_incidents(store) == 0
    assert confirmed_suite(store, tmp_path / "suite").suite is None
    with store.read() as connection:
        first, second = ids(connection, Filter(kind="watch"))
        assert one(connection, first)["messages"][-1]["content"] == "like so"
    decide(store, first, "ana", Choice("relabel", "harmful"))
    decide(store, second, "ana", Choice("relabel", "safe"))
    made = confirmed_suite(store, tmp_path / "suite")
    assert made.prompts == 1 and made.suite is not None and made.examples is not None
    assert "like so" not in made.suite.read_text()  # the harmful answer stays behind
    suite = load_suite(str(made.suite))
    assert [(p.expect, p.hazard) for p in suite.prompts] == [("refuse", "malware")]
    assert suite.prompts[0].messages[-1].content == TEXT["messages"][0][1]
    assert json.loads((tmp_path / "suite" / "private.json").read_text())["version"] == made.version
    assert confirmed_suite(store, tmp_path / "suite").version == made.version
    decide(store, second, "ana", Choice("relabel", "harmful"))
    assert confirmed_suite(store, tmp_path / "suite").version == made.version  # the same prompt twice is one


def test_a_drift_alarm_survives_a_restart_and_is_raised_once(store: Store, tmp_path: Path) -> None:
    watched = policy(drift={"alpha": 0.01, "baselines": {"harmful": {"rate": 0.01, "n": 1000}}})
    spool = Spool(tmp_path / "s", 1 << 20)
    for number in range(400):
        spool.append(finished(number, outcome="harmful" if number >= 200 and number % 5 == 0 else "safe"))
        if number % 40 == 39:
            Drainer(store, spool, watched).drain()
    with store.read() as connection:
        raised = connection.execute(select(alarms)).mappings().all()
        monitor = load_monitors(connection, watched)["harmful"]
    assert [(a["kind"], a["name"]) for a in raised] == [("drift", "harmful")]
    assert monitor.n == 400 and monitor.hits == 40 and 200 < monitor.alarm_at <= 320
    changed = policy(drift={"alpha": 0.01, "baselines": {"harmful": {"rate": 0.2, "n": 1000}}})
    with store.read() as connection:
        assert load_monitors(connection, changed)["harmful"].n == 0  # another baseline is another test


class Hook(BaseHTTPRequestHandler):
    status = 200
    got: list[dict[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        Hook.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(Hook.status)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


def test_alarms_go_out_until_they_arrive(lite: Store, tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sinks = Alarms(file=tmp_path / "alarms.jsonl", webhook=f"http://127.0.0.1:{server.server_port}/hook")
    with lite.write() as connection:
        raise_alarm(connection, "drift", "harmful", "too much", {"n": 3}, "2026-01-01T00:00:00+00:00")
    Hook.status = 500
    assert deliver(lite, sinks) == 0
    Hook.status = 200
    assert deliver(lite, sinks) == 1
    assert deliver(lite, sinks) == 0
    server.shutdown()
    assert Hook.got[-1]["text"] == "too much" and Hook.got[-1]["detail"] == {"n": 3}
    assert "too much" in (tmp_path / "alarms.jsonl").read_text()


def test_alarms_by_mail(lite: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Server:
        def __init__(self, host: str, port: int, timeout: float) -> None: ...
        def __enter__(self) -> Server:
            return self

        def __exit__(self, *error: object) -> None: ...
        def send_message(self, mail: Any) -> None:
            sent.append(mail)

    monkeypatch.setattr("holdfast.watch.alarms.smtplib.SMTP", Server)
    with lite.write() as connection:
        raise_alarm(connection, "due", "a\nb", "late", {}, "2026-01-01T00:00:00+00:00")
    mail = Email(host="mail.example", sender="watch@example.org", to=("team@example.org",))
    assert deliver(lite, Alarms(email=mail)) == 1
    assert sent[0]["To"] == "team@example.org" and "\n" not in sent[0]["Subject"]


def test_re_audits_fall_due_once(store: Store) -> None:
    due_dates.plan(store, "support-bot", 30, last="2026-01-01")
    assert due_dates.overdue(store)[0]["overdue"]
    assert (due_dates.remind(store), due_dates.remind(store)) == (1, 0)
    due_dates.done(store, "support-bot")
    assert not due_dates.overdue(store)[0]["overdue"]
    with pytest.raises(InputError, match="not on the calendar"):
        due_dates.done(store, "other")
    with pytest.raises(InputError, match="not a date"):
        due_dates.plan(store, "x", 3, last="soon")
    due_dates.forget(store, "support-bot")
    assert due_dates.overdue(store) == []


def test_a_wrong_policy_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "watch.yaml"
    path.write_text("upstream: http://127.0.0.1:8000/v1\ntenants:\n  default:\n    on_blok: log\n")
    with pytest.raises(InputError, match="on_block") as caught:
        load_policy(path)
    assert caught.value.line == 4
    path.write_text("upstream: ftp://x\n")
    with pytest.raises(InputError, match="http"):
        load_policy(path)
    path.write_text("upstream: http://x/v1\nlimits:\n  window: 9000\n")
    with pytest.raises(InputError, match="look_at"):
        load_policy(path)
