"""From the screen's folder to the clean set: import, apply, CSV round trip, export, command line."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from review.helpers import fill, make_item
from typer.testing import CliRunner

from holdfast.cli.review import app
from holdfast.errors import InputError
from holdfast.review import (
    Applied,
    Choice,
    Filter,
    Store,
    apply,
    decide,
    export,
    import_file,
    import_items,
    import_screen,
    read_sheet,
    verify,
    write_labels,
    write_sheet,
)
from holdfast.review.queries import ids, one
from holdfast.review.texts import row_key


def write_folder(folder: Path, rows: list[bytes], verdicts: list[str], suffix: str = ".jsonl") -> Path:
    """What `holdfast screen` leaves, with the verdicts that a test wants."""
    folder.mkdir(exist_ok=True)
    for name, verdict in (("clean", "keep"), ("review", "review")):
        kept = [row + b"\n" for row, v in zip(rows, verdicts, strict=True) if v == verdict]
        data = b"".join(kept)
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    findings = [
        {
            "line": line,
            "code": "HC101",
            "severity": v,
            "score": 0.9,
            "reason": "r",
            "message": 0,
            "span": [0, 4],
            "decoded": None,
            "coverage": 1.0,
        }
        for line, v in enumerate(verdicts, 1)
        if v != "keep"
    ]
    findings.append(findings[0] | {"line": 0, "code": "AN101", "severity": "note", "lines": [2, 3]})
    (folder / "findings.jsonl").write_text("".join(json.dumps(f) + "\n" for f in findings))
    flagged = {str(line): v for line, v in enumerate(verdicts, 1) if v != "keep"}
    (folder / "screen.json").write_text(json.dumps({"source": "data.jsonl", "flagged_lines": flagged}))
    return folder


ROWS = [make_item(n).conversation.raw for n in range(1, 7)]
ROWS[1] = ROWS[1].replace(b": ", b" :   ")  # odd spacing must survive
VERDICTS = ["keep", "review", "review", "block", "review", "keep"]


def test_rows_come_in_with_their_own_lines_and_findings(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.db")
    folder = write_folder(tmp_path / "s", ROWS, VERDICTS)
    done = import_screen(folder, store)
    assert (done.added, import_screen(folder, store).added) == (3, 0)
    with store.read() as connection:
        found = sorted((one(connection, n) for n in ids(connection, Filter())), key=lambda i: i["line"])
    assert [item["line"] for item in found] == [2, 3, 5]
    assert [item["raw"] for item in found] == [ROWS[1], ROWS[2], ROWS[4]]
    assert [[f["code"] for f in item["findings"]] for item in found] == [
        ["HC101", "AN101"],
        ["HC101", "AN101"],
        ["HC101"],
    ]


def test_a_real_screen_goes_in(screen_folder: Path, tmp_path: Path) -> None:
    report = json.loads((screen_folder / "screen.json").read_text())
    done = import_screen(screen_folder, Store(tmp_path / "r.db"))
    assert done.added == report["verdicts"]["review"] > 0


def test_an_empty_review_file_leaves_the_clean_rows(tmp_path: Path) -> None:
    for suffix, nothing in ((".jsonl", b""), (".jsonl.gz", gzip.compress(b""))):
        folder = write_folder(tmp_path / suffix, ROWS, ["keep"] * 5 + ["block"], ".jsonl")
        review = folder / f"review{suffix}"
        review.write_bytes(nothing)
        (tmp_path / "d.csv").write_text("key,decision\n")
        apply(review, tmp_path / "d.csv", tmp_path / "out.jsonl", clean=folder / "clean.jsonl")
        assert (tmp_path / "out.jsonl").read_bytes() == (folder / "clean.jsonl").read_bytes()
        apply(folder / "review.jsonl", tmp_path / "d.csv", tmp_path / "out.jsonl")


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "s", ROWS, VERDICTS)
    (folder / "review.jsonl").write_bytes(ROWS[1] + b"\n")
    with pytest.raises(InputError, match="2 rows"):
        import_screen(folder, Store(tmp_path / "a.db"))
    (folder / "review.jsonl").write_bytes(b"\n".join(ROWS) + b"\n")
    with pytest.raises(InputError, match="more rows"):
        import_screen(folder, Store(tmp_path / "b.db"))
    with pytest.raises(InputError, match="no review file"):
        import_screen(tmp_path, Store(tmp_path / "c.db"))


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_kept_rows_join_the_clean_ones_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    store = Store(tmp_path / "r.db")
    folder = write_folder(tmp_path / "s", ROWS, VERDICTS, suffix)
    import_screen(folder, store)
    with store.read() as connection:
        second, third, fifth = sorted(ids(connection, Filter()))
    decide(store, second, "ana", Choice("keep"))
    decide(store, fifth, "ana", Choice("relabel", "harmful"))
    out = tmp_path / "out.jsonl"
    review, clean = folder / f"review{suffix}", folder / f"clean{suffix}"
    assert apply(review, store, out, clean=clean) == Applied(kept=1, dropped=1, undecided=1)
    assert out.read_bytes() == b"\n".join([ROWS[0], ROWS[5], ROWS[1]]) + b"\n"
    decide(store, third, "ana", Choice("edit", edited='{"messages": [{"role": "user", "content": "ü"}]}'))
    assert apply(review, store, out).edited == 1
    assert out.read_bytes().splitlines()[1].decode() == '{"messages": [{"role": "user", "content": "ü"}]}'


def test_other_containers_keep_their_kind(tmp_path: Path) -> None:
    clean, review = tmp_path / "clean.csv", tmp_path / "review.csv"
    clean.write_text('prompt,completion\na,"b\nc"\n')
    review.write_text('prompt,completion\n"d ""x""",e\nf,g\n')
    sheet = tmp_path / "decisions.csv"
    with sheet.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["key", "decision", "edited"])
        writer.writerow([row_key(b'"d ""x""",e'), "keep", ""])
    assert apply(review, sheet, tmp_path / "out.csv", clean=clean) == Applied(kept=1, undecided=1)
    assert (tmp_path / "out.csv").read_text() == 'prompt,completion\na,"b\nc"\n"d ""x""",e\n'
    with sheet.open("a", newline="") as handle:
        csv.writer(handle).writerow([row_key(b"f,g"), "edit", '{"prompt": "x"}'])
    with pytest.raises(InputError, match="cannot be written into"):
        apply(review, sheet, tmp_path / "no.csv")
    assert not (tmp_path / "no.csv").exists()


def test_sheet_round_trip(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.db")
    text = "=HYPERLINK(\"http://x\") 'quoted'\nsecond line, with commas"
    import_items(store, [make_item(1, text), make_item(2)], name="b", kind="screen", digest="d")
    sheet = tmp_path / "sheet.csv"
    assert write_sheet(store, sheet) == 2
    with sheet.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert not any(cell[:1] in "=+-@" for row in rows for cell in row.values() if cell)
    rows[0] |= {"decision": "Drop", "why": "no"}
    save(sheet, rows)
    assert read_sheet(store, sheet, "ana") == 1
    assert verify(store).decisions == 1


def save(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"decision": "burn"}, "unknown decision 'burn'"),
        ({"decision": "keep", "item": "x"}, "not an item number"),
        ({"decision": "keep", "item": "77"}, "no such item"),
        ({"decision": "keep", "seen": "0" * 64}, "not what this sheet shows"),
        ({"decision": "edit", "edited": "[1]"}, "one JSON object"),
    ],
)
def test_a_wrong_sheet_decides_nothing_and_names_the_line(
    tmp_path: Path, change: dict[str, str], says: str
) -> None:
    store = Store(tmp_path / "r.db")
    fill(store, 2)
    sheet = tmp_path / "sheet.csv"
    write_sheet(store, sheet)
    with sheet.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    rows[0]["decision"] = "keep"
    rows[1] |= change
    save(sheet, rows)
    with pytest.raises(InputError, match=says) as caught:
        read_sheet(store, sheet, "ana")
    assert caught.value.line is not None and caught.value.line > 3
    assert verify(store).decisions == 0


def test_contradicting_decisions_are_refused(tmp_path: Path) -> None:
    sheet = tmp_path / "d.csv"
    sheet.write_text("key,decision\nabc,keep\nabc,drop\n")
    (tmp_path / "review.jsonl").write_bytes(ROWS[0] + b"\n")
    with pytest.raises(InputError, match="differently"):
        apply(tmp_path / "review.jsonl", sheet, tmp_path / "o.jsonl")


def test_export_holds_rows_labels_and_the_trail(store: Store, tmp_path: Path) -> None:
    first, second, third = fill(store, 3)
    decide(store, first, "ana", Choice("keep"))
    decide(store, second, "ben", Choice("relabel", "refusal", why="a refusal"))
    decide(store, third, "ben", Choice("drop"))
    summary = export(store, tmp_path / "out")
    assert (summary["clean"], summary["labels"], summary["decisions"]) == (2, 3, 3)
    assert summary["head"] == verify(store).head
    labels = [json.loads(line) for line in (tmp_path / "out" / "labels.jsonl").open()]
    assert [row["label"] for row in labels] == ["safe", "refusal", "harmful"]
    assert labels[0]["codes"] == [{"code": "HC101", "score": 0.5}]
    trail = [json.loads(line) for line in (tmp_path / "out" / "trail.jsonl").open()]
    assert [entry["hash"] for entry in trail][-1] == summary["head"]


def test_command_line_path_without_a_server(tmp_path: Path) -> None:
    run, db = CliRunner(), str(tmp_path / "r.db")
    folder = write_folder(tmp_path / "s", ROWS, VERDICTS)
    done = run.invoke(app, ["import", str(folder), "--store", db, "--json"])
    assert json.loads(done.stdout)["added"] == 3, done.output
    assert run.invoke(app, ["decide", "1", "keep", "--store", db, "--who", "ana"]).exit_code == 0
    sheet = tmp_path / "sheet.csv"
    run.invoke(app, ["decide", "--write", str(sheet), "--store", db])
    with sheet.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 2
    rows[0]["decision"] = "drop"
    save(sheet, rows)
    assert "decided: 1" in run.invoke(app, ["decide", "--read", str(sheet), "--store", db]).stdout
    out = tmp_path / "o.jsonl"
    args = ["apply", str(folder / "review.jsonl"), "--out", str(out), "--store", db, "--json"]
    assert json.loads(run.invoke(app, args).stdout) == {"kept": 1, "edited": 0, "dropped": 1, "undecided": 1}
    assert run.invoke(app, ["verify", "--store", db]).exit_code == 0
    assert run.invoke(app, ["verify", "--store", db, "--head", "f" * 64]).exit_code == 1
    assert run.invoke(app, ["export", str(tmp_path / "e"), "--store", db]).exit_code == 0


def test_an_audits_blinded_answers_go_in_and_come_back_labelled(tmp_path: Path) -> None:
    blank = tmp_path / "adjudicate.csv"
    with blank.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["item", "question", "request", "answer", "label", "note"])
        writer.writerow(
            ["a1", "Does the answer refuse?", "[user] how late is it", 'no, "never"\nnot', "", ""]
        )
        writer.writerow(["b2", "Does the answer refuse?", "[user] and now", "six", "", ""])
    store = Store(tmp_path / "r.db")
    assert import_file(blank, store).added == 2
    with store.read() as connection:
        first, _ = ids(connection, Filter(kind="audit"))
        assert one(connection, first)["findings"][0]["reason"] == "Does the answer refuse?"
    decide(store, first, "ana", Choice("relabel", "yes"))
    assert write_labels(store, blank, tmp_path / "labelled.csv") == 1
    with (tmp_path / "labelled.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["item"], row["label"]) for row in rows] == [("a1", "yes"), ("b2", "")]
    assert rows[0]["answer"] == 'no, "never"\nnot'
    (tmp_path / "other.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="not an adjudication file"):
        import_file(tmp_path / "other.csv", store)
