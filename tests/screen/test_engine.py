"""The engine: the same result for any cut, any number of processes, any interruption."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from screen.screen_rows import row, write_rows

from holdfast.conversation import Conversation, chat
from holdfast.errors import InputError, RunError
from holdfast.formats import Record, view
from holdfast.screen import ScreenConfig, ScreenReport, Severity, Verdict, screen
from holdfast.screen.config import load_config

CONFIG = ScreenConfig(select=("ID", "FM", "ZZ001", "ZZ003", "ZZ004", "AN"))
ROWS = 4000


def essence(report: ScreenReport) -> dict[str, object]:
    """All of a report but times and places."""
    data = report.to_json()
    for name in ("seconds", "outputs", "resumed"):
        del data[name]
    return data


def test_processes_and_cuts_do_not_change_the_result(
    tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "d.jsonl", ROWS)
    alone = screen(path, config=CONFIG, jobs=1)
    monkeypatch.setattr("holdfast.screen.run.chunk_bytes", lambda file, jobs: 20_000)
    for jobs in (1, 3):
        assert essence(screen(path, config=CONFIG, jobs=jobs)) == essence(alone)
    assert alone.rows == ROWS
    assert alone.counts["ZZ001"] == ROWS // 97 + ROWS // 1000 and alone.counts["ID201"] == ROWS // 501
    lines = next(f.lines for f in alone.file_findings if f.code == "ZZ003")
    assert lines == tuple(range(1, ROWS + 1))
    nines = tuple(n for n in range(1, ROWS + 1) if str(n).startswith("9"))
    again = next(f for f in alone.file_findings if f.code == "ZZ004")
    assert (again.lines, again.rows) == (nines, len(nines)) and "111 rows of the file" in again.reason
    assert all(alone.verdict(line) is Verdict.BLOCK for line in nines)


def test_rows_of_a_named_thing_are_held_back_beyond_those_that_are_listed(
    tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.screen.engine.MAX_LINES", 5)
    path = write_rows(tmp_path / "d.jsonl", 950)
    report = screen(path, config=ScreenConfig(select=("ZZ004",)), out=tmp_path / "o")
    (again,) = report.file_findings
    assert (again.lines, again.rows) == ((9, 90, 91, 92, 93), 62)
    assert report.verdicts[Verdict.BLOCK] == 62
    assert (tmp_path / "o" / "quarantine.jsonl").read_bytes().count(b"\n") == 62
    assert b"number 9" not in (tmp_path / "o" / "clean.jsonl").read_bytes()


@pytest.mark.slow
def test_ray_gives_the_local_result(tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    path = write_rows(tmp_path / "d.jsonl", ROWS)
    local = screen(path, config=CONFIG, out=tmp_path / "local", jobs=1)
    monkeypatch.setattr("holdfast.screen.run.chunk_bytes", lambda file, jobs: 100_000)
    monkeypatch.setattr("holdfast.screen.ray_engine.RayEngine.__init__.__defaults__", (2,))
    spread = screen(path, config=CONFIG, out=tmp_path / "ray", engine="ray")
    assert essence(spread) == essence(local)
    for name in ("clean.jsonl", "review.jsonl", "quarantine.jsonl", "findings.jsonl"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


RUN = """
import sys, holdfast.formats.streams, holdfast.screen.checkpoint, holdfast.screen.run
from holdfast.screen import ScreenConfig, screen
holdfast.screen.checkpoint._SECONDS = 0.0
holdfast.screen.run.chunk_bytes = lambda file, jobs: 40_000
holdfast.formats.streams._PACKED = 2_000
config = ScreenConfig(select=("ID", "FM", "ZZ", "AN"))
report = screen(sys.argv[1], config=config, out=sys.argv[2], jobs=int(sys.argv[3]))
print(report.resumed)
"""


@pytest.mark.parametrize(("kind", "jobs"), [("jsonl", 1), ("gz", 2)])
def test_killed_run_goes_on_and_ends_the_same(tmp_path: Path, plugin: Path, jobs: int, kind: str) -> None:
    path = write_rows(tmp_path / "d.jsonl", 4000)
    if kind == "gz":
        subprocess.run(["gzip", str(path)], check=True)
        path = tmp_path / "d.jsonl.gz"
    suffix = ".jsonl.gz" if kind == "gz" else ".jsonl"

    def start(out: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", RUN, str(path), str(out), str(jobs)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    whole = start(tmp_path / "whole")
    assert whole.communicate()[0].strip() == "0"
    rng = random.Random(7)
    out = tmp_path / "killed"
    first, second = out / ".screen" / "mark.pickle", out / ".screen" / "second" / "mark.pickle"
    for mark in (first, first, second):
        run = start(out)
        before = mark.stat().st_mtime_ns if mark.exists() else 0
        while run.poll() is None and not (mark.exists() and mark.stat().st_mtime_ns > before):
            time.sleep(0.005)
        time.sleep(rng.random() * 0.1)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL, "the run ended before it could be killed"
        assert not (out / f"clean{suffix}").exists()
    last = start(out)
    assert int(last.communicate()[0]) > 0
    assert not first.exists()
    for name in (f"clean{suffix}", f"review{suffix}", f"quarantine{suffix}", "findings.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    a, b = (json.loads((folder / "screen.json").read_text()) for folder in (out, tmp_path / "whole"))
    assert a["rows"] == b["rows"] == 4000 and a["file_findings"] == b["file_findings"]


def test_changed_input_starts_over(tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_rows(tmp_path / "d.jsonl", 1500)
    monkeypatch.setattr("holdfast.screen.checkpoint._SECONDS", 0.0)
    monkeypatch.setattr("holdfast.screen.run.chunk_bytes", lambda file, jobs: 40_000)

    class StopError(Exception):
        pass

    def stop(rows: int) -> None:
        raise StopError

    for change in (False, True):
        with pytest.raises(StopError):
            screen(path, config=CONFIG, out=tmp_path / "o", jobs=1, progress=stop)
        assert (tmp_path / "o" / ".screen" / "mark.pickle").exists()
        if change:
            with path.open("ab") as handle:
                handle.write(b'{"text": "one more"}\n')
        report = screen(path, config=CONFIG, out=tmp_path / "o", jobs=1)
        assert (report.resumed == 0) is change
        assert report.rows == 1500 + change


def test_rule_that_crashes_clears_no_row(tmp_path: Path, plugin: Path) -> None:
    rows = [Conversation(chat(("user", "a"), ("assistant", text))) for text in ("fine", "crash", "seven")]
    report = screen(rows, config=ScreenConfig(select=("ZZ001",)))
    assert [(f.line, f.code) for f in report.findings] == [(2, "FM011"), (3, "ZZ001")]
    assert report.verdict(2) is Verdict.REVIEW and "ValueError" in report.findings[0].reason
    assert report.findings[1].evidence == "seven"


def test_conversations_in_memory_like_a_file(tmp_path: Path, plugin: Path) -> None:
    from holdfast.formats import read

    path = write_rows(tmp_path / "d.jsonl", 1200)
    from_file = screen(path, config=CONFIG, out=tmp_path / "a")
    from_memory = screen(list(read(path)), config=CONFIG, out=tmp_path / "b")
    assert from_memory.verdicts == from_file.verdicts
    for name in ("clean.jsonl", "review.jsonl", "quarantine.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    once = screen(read(path), config=CONFIG)
    assert once.verdicts == from_file.verdicts and once.file_findings == from_file.file_findings


def test_many_findings_are_counted_when_not_held(
    tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "d.jsonl", 970)
    monkeypatch.setattr("holdfast.screen.engine.MAX_FINDINGS", 4)
    report = screen(path, config=ScreenConfig(select=("ZZ001",)))
    assert len(report.findings) == 4 and report.left_out == 6
    assert report.counts == {"ZZ001": 10} and report.verdicts[Verdict.REVIEW] == 10


def test_worker_that_dies_is_an_error_not_a_hang(tmp_path: Path, plugin: Path) -> None:
    (plugin / "zz_rules.py").write_text(
        (plugin / "zz_rules.py")
        .read_text()
        .replace('raise ValueError("the rule is broken")', "import os; os._exit(9)")
    )
    path = write_rows(tmp_path / "d.jsonl", 3000)
    with path.open("ab") as handle:
        handle.write(json.dumps(row(1)).replace("The answer", "crash").encode() + b"\n")
    with pytest.raises(RunError, match="ended unexpectedly"):
        screen(path, config=ScreenConfig(select=("ZZ001",)), jobs=2)


def test_configuration_decides(tmp_path: Path, plugin: Path) -> None:
    path = write_rows(tmp_path / "d.jsonl", 97)

    def severities(**settings: object) -> list[Severity]:
        config = ScreenConfig.model_validate({"select": ["ZZ001"], **settings})
        return [f.severity for f in screen(path, config=config).findings]

    assert severities() == [Severity.REVIEW]
    assert severities(rules={"ZZ": {"severity": "block"}}) == [Severity.BLOCK]
    assert severities(rules={"ZZ": {"severity": "block"}, "ZZ001": {"severity": "note"}}) == [Severity.NOTE]
    assert severities(rules={"ZZ001": {"block": 0.8}}) == [Severity.BLOCK]
    assert severities(rules={"ZZ001": {"review": 0.95}}) == [Severity.NOTE]
    assert severities(ignore=["ZZ001"]) == []
    assert severities(per_file_ignores={"*.jsonl": ["ZZ"]}) == []
    assert severities(per_file_ignores={"*.csv": ["ZZ"]}) == [Severity.REVIEW]


@pytest.mark.parametrize("name", ["XX", "ID9", "id201"])
def test_unknown_codes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no rule has the code"):
        screen(write_rows(tmp_path / "d.jsonl", 1), config=ScreenConfig(ignore=(name,)))


def test_rule_package_that_cannot_be_loaded_is_named(tmp_path: Path, plugin: Path) -> None:
    (plugin / "zz_rules.py").write_text("raise RuntimeError('half installed')")
    with pytest.raises(InputError, match="zz_rules:.*half installed"):
        screen(write_rows(tmp_path / "d.jsonl", 1))


def test_folder_in_use_is_refused(tmp_path: Path) -> None:
    from holdfast.files import folder_lock

    path = write_rows(tmp_path / "d.jsonl", 1)
    with folder_lock(tmp_path / "o"), pytest.raises(InputError, match="another holdfast process"):
        screen(path, out=tmp_path / "o")


def test_workers_end_with_their_parent(tmp_path: Path, plugin: Path) -> None:
    path = write_rows(tmp_path / "d.jsonl", 5000)
    command = [sys.executable, "-c", RUN, str(path), str(tmp_path / "o"), "2"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 20
    children: list[int] = []
    while len(children) < 2 and time.monotonic() < deadline:
        text = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text()
        children = [int(pid) for pid in text.split()]
        time.sleep(0.01)
    assert len(children) == 2
    run.kill()
    run.wait()
    while any(_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in children)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"


def test_rule_of_the_documentation_works() -> None:
    from holdfast.screen.base import RowRule

    page = Path(__file__).parents[2] / "docs" / "screen.md"
    code = page.read_text().split("## Write a rule")[1].split("```python\n")[1].split("```")[0]
    space: dict[str, Any] = {}
    exec(code, space)
    rule = space["NoCompetitors"]()
    assert isinstance(rule, RowRule)
    for example, fires in ((rule.infos[0].fires, True), (rule.infos[0].passes, False)):
        row, problems = view(Record(1, orjson.dumps(example)), "d", 1 << 20)
        assert row is not None and not problems
        found = list(rule.check(row))
        assert bool(found) is fires
        assert all(row.messages[f.message or 0].content[slice(*(f.span or ()))] == "Acme" for f in found)


def test_configuration_of_the_documentation_is_valid(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "screen.md"
    text = page.read_text().split("## Configuration")[1].split("```yaml\n")[1].split("```")[0]
    (tmp_path / "holdfast.yaml").write_text(text)
    config = load_config(tmp_path / "holdfast.yaml")
    assert config.rules["AN"].options and config.per_file_ignores
    screen(write_rows(tmp_path / "d.jsonl", 3), config=config)


def test_rows_of_several_shapes_in_one_file(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"instruction": "a", "input": "", "output": "b"},
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        {"prompt": "a", "completion": "b", "label": True},
    ]
    path = tmp_path / "d.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    report = screen(path, config=ScreenConfig(select=("FM",)))
    names = {"openai", "alpaca", "preference", "sharegpt", "kto"}
    assert set(report.about["profile"]["formats"]) == names and report.rows == 5
    assert report.about["profile"]["answer_characters"] == [[1, 1, 5]]


def test_half_surrogates_from_memory_break_nothing(tmp_path: Path, plugin: Path) -> None:
    rows = [Conversation(chat(("user", "a"), ("assistant", "\ud800 seven")))]
    report = screen(rows, config=ScreenConfig(select=("ZZ001",)))
    assert report.counts == {"ZZ001": 1} and json.dumps(report.to_json()).encode()
    with pytest.raises(InputError, match="surrogate"):
        screen(rows, out=tmp_path / "o")


def test_a_mark_that_others_could_have_written_is_not_read(tmp_path: Path) -> None:
    from holdfast.screen.checkpoint import Checkpoint

    kept = Checkpoint(tmp_path, "key")
    kept.mark.rows = 7
    with kept:
        kept.save()
    assert Checkpoint(tmp_path, "key").mark.rows == 7
    (tmp_path / "mark.pickle").chmod(0o666)
    assert Checkpoint(tmp_path, "key").mark.rows == 0
