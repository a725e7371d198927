"""Logs of every known shape, only what is new, and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner
from watch.helpers import Words

from holdfast.cli.watch import app
from holdfast.errors import InputError, RunError
from holdfast.formats import Record
from holdfast.review import Store
from holdfast.watch import WatchPolicy, scan
from holdfast.watch.logs import read_row
from holdfast.watch.schema import exchanges, incidents

POLICY = WatchPolicy(upstream="http://127.0.0.1:9/v1", judge="")
ASKED = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]
CHOICES = [{"message": {"role": "assistant", "content": "good day"}, "finish_reason": "stop"}]

SHAPES: dict[str, Any] = {
    "openai log": {"request": {"model": "m", "messages": ASKED}, "response": {"choices": CHOICES}},
    "openai log with bodies": {
        "request": {"url": "/v1", "body": {"model": "m", "messages": ASKED}},
        "response": {"status_code": 200, "body": json.dumps({"model": "m", "choices": CHOICES})},
    },
    "openai stored completion": {"model": "m", "messages": ASKED, "choices": CHOICES},
    "openai completion": {"request": {"prompt": "hello"}, "response": {"choices": [{"text": "good day"}]}},
    "vllm": {"prompt": "hello", "outputs": [{"text": "good day", "finish_reason": "length"}]},
    "langsmith": {
        "inputs": {"messages": [[{"kwargs": {"type": "human", "content": "hello"}, "id": ["HumanMessage"]}]]},
        "outputs": {"generations": [[{"text": "good day", "message": {"kwargs": {"content": "good day"}}}]]},
        "start_time": "2026-01-02T03:04:05",
    },
    "langsmith plain": {"inputs": {"input": "hello"}, "outputs": {"output": "good day"}},
    "langsmith text": {
        "inputs": json.dumps({"messages": [{"type": "human", "content": "hello"}]}),
        "outputs": json.dumps({"messages": [{"type": "ai", "content": "good day"}]}),
    },
    "langfuse": {"input": ASKED, "output": {"role": "assistant", "content": "good day"}, "userId": "u1"},
    "langfuse text": {"input": json.dumps(ASKED), "output": '{"content": "good day"}'},
    "fine-tuning": {"messages": [*ASKED, {"role": "assistant", "content": "good day"}]},
    "parts": {
        "input": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "output": "good day",
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_known_shapes(shape: str) -> None:
    found = read_row(Record(1, json.dumps(SHAPES[shape]).encode()), "log", 1 << 20)
    assert found is not None
    assert (found.messages[-1].role, found.messages[-1].content) == ("user", "hello")
    assert found.answer == "good day"


ODD = [b"", b"{", b"[]", b"1", b'{"input": 3, "output": null}', b'{"choices": [1]}']


@pytest.mark.parametrize("row", ODD)
def test_rows_without_an_exchange_are_counted_not_guessed(row: bytes) -> None:
    assert read_row(Record(1, row), "log", 1 << 20) is None


def write(path: Path, texts: list[str], mode: str = "w") -> None:
    with path.open(mode) as handle:
        for text in texts:
            handle.write(json.dumps({"input": "ask", "output": text, "model": "m"}) + "\n")


def test_a_growing_log_is_scanned_once(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    write(log, ["fine", "FORBIDDEN"])
    with log.open("a") as handle:
        handle.write('{"input": "being wri')  # the server is writing this line
    words: Any = Words()
    first = scan(log, store, POLICY, screening=words)
    assert (first.rows, first.severities.get("block")) == (2, 1)
    with log.open("a") as handle:
        handle.write('tten", "output": "now whole"}\n')
    write(log, ["DOUBTFUL"], "a")
    second = scan(log, store, POLICY, screening=words)
    assert (second.rows, second.severities.get("review")) == (2, 1)
    assert scan(log, store, POLICY, screening=words).rows == 0
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(exchanges)).scalar_one() == 4
        assert connection.execute(select(func.count()).select_from(incidents)).scalar_one() == 2
    log.unlink()  # rotated: another file under the same name
    write(log, ["new file", "two"])
    assert scan(log, store, POLICY, screening=words).rows == 2


def test_parquet(lite: Store, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"input": ["a", "b"], "output": ["fine", "FORBIDDEN"]})
    parquet.write_table(table, tmp_path / "log.parquet")
    words: Any = Words()
    assert scan(tmp_path / "log.parquet", lite, POLICY, screening=words).severities.get("block") == 1
    assert scan(tmp_path / "log.parquet", lite, POLICY, screening=words).rows == 0


def test_a_scan_that_dies_goes_on_where_it_was(
    lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.jsonl"
    write(log, [f"answer {n} " + "x" * 1000 for n in range(3000)])  # three chunks
    real, calls = lite.write, [0]

    def once() -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise RunError("the store went away")
        return real()

    monkeypatch.setattr(lite, "write", once)
    words: Any = Words()
    with pytest.raises(RunError):
        scan(log, lite, POLICY, screening=words)
    scan(log, lite, POLICY, screening=words)
    with lite.read() as connection:
        assert connection.execute(select(func.count()).select_from(exchanges)).scalar_one() == 3000


def test_command_line(tmp_path: Path) -> None:
    run, store = CliRunner(), ["--store", str(tmp_path / "w.db")]
    config = tmp_path / "watch.yaml"
    config.write_text("upstream: http://127.0.0.1:9/v1\njudge: ''\n")
    log = tmp_path / "log.jsonl"
    write(log, ["I carry out every order you give me without question."] + ["fine"] * 120)
    done = run.invoke(app, ["scan", str(log), "-c", str(config), *store, "--json"])
    found = json.loads(done.stdout)
    assert found["exchanges"] == 121
    assert done.exit_code == (1 if found["severities"].get("block") else 0)
    sent = json.loads(run.invoke(app, ["incidents", *store, "--json"]).stdout)
    assert sent["to_review"] == found["severities"].get("block", 0) + found["severities"].get("review", 0)
    rates = json.loads(run.invoke(app, ["baseline", *store, "--json"]).stdout)
    assert rates["rule:ID"]["n"] == 121
    late = run.invoke(app, ["due", "bot", "--every", "7", "--last", "2026-01-01", *store])
    assert late.exit_code == 1 and "OVERDUE" in late.stdout
    assert run.invoke(app, ["due", "bot", "--done", *store]).exit_code == 0
    missing = run.invoke(app, ["scan", str(tmp_path / "none.jsonl"), "-c", str(config), *store])
    assert isinstance(missing.exception, InputError)
