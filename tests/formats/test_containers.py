"""Containers: what is cut into chunks comes back whole, in order and byte for byte."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import InputError
from holdfast.formats import Problem, open_file, read
from holdfast.formats.array import ArrayFile
from holdfast.formats.lines import BOM

ROWS = [{"prompt": f'q{i} "quoted", [x]', "completion": "line\nbreak é " * (i % 5)} for i in range(300)]


def write(path: Path, kind: str) -> Path:
    lines = b"".join(orjson.dumps(row) + b"\n" for row in ROWS)
    if kind == "jsonl":
        path.write_bytes(lines)
    elif kind == "crlf":
        path.write_bytes(lines.replace(b"\n", b"\r\n"))
    elif kind == "bom":
        path.write_bytes(b"\xef\xbb\xbf" + lines)
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(lines[:5000]) + gzip.compress(lines[5000:]))
    elif kind == "jsonl.zst":
        zstandard = pytest.importorskip("zstandard")
        path.write_bytes(zstandard.compress(lines))
    elif kind == "json":
        path.write_text(json.dumps(ROWS, indent=2))
    elif kind == "json.gz":
        path.write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    elif kind in ("csv", "tsv"):
        handle = io.StringIO(newline="")
        out = csv.writer(handle, delimiter="," if kind == "csv" else "\t")
        out.writerow(["prompt", "completion"])
        out.writerows([row["prompt"], row["completion"]] for row in ROWS)
        path.write_bytes(handle.getvalue().encode())
    elif kind == "parquet":
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as parquet

        parquet.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=70)
    else:
        datasets = pytest.importorskip("datasets")
        datasets.Dataset.from_list(ROWS).save_to_disk(str(path))
    return path


KINDS = [
    "jsonl",
    "crlf",
    "bom",
    "jsonl.gz",
    "jsonl.zst",
    "json",
    "json.gz",
    "csv",
    "tsv",
    "parquet",
    "folder",
]


@pytest.mark.parametrize("kind", KINDS)
def test_all_rows_of_every_container(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"data.{kind}", kind)
    problems: list[Problem] = []
    rows = list(read(path, on_problem=problems.append))
    assert problems == []
    assert [(r.last_user, r.answer) for r in rows] == [(r["prompt"], r["completion"]) for r in ROWS]
    lines = [r.line for r in rows]
    assert lines == sorted(set(lines))
    if kind not in ("csv", "tsv"):
        assert lines == list(range(1, len(ROWS) + 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [300, 5000, 1 << 20])
def test_chunks_do_not_change_rows_and_can_be_continued(tmp_path: Path, kind: str, size: int) -> None:
    file = open_file(write(tmp_path / f"data.{kind}", kind))
    chunks = list(file.chunks(size))
    seen = [(r.line, r.raw) for chunk in chunks for r in file.records(chunk)]
    assert len(seen) == len(ROWS)
    assert sum(chunk.size for chunk in chunks) <= file.size
    middle = len(chunks) // 2
    rest = list(file.chunks(size, chunks[middle].place()))
    assert [(c.index, c.line, c.payload) for c in rest] == [
        (c.index, c.line, c.payload) for c in chunks[middle + 1 :]
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_split_rows_are_the_input(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"data.{kind}", kind)
    file = open_file(path)
    records = [(r.line, r.raw) for chunk in file.chunks(4000) for r in file.records(chunk)]
    targets = bytearray(records[-1][0] + 2)
    for number, (line, _) in enumerate(records):
        targets[line] = (0, 0, 1, 0, 2)[number % 5] if number > 50 else 0
    outputs = [tmp_path / f"{name}{file.suffix}" for name in ("a", "b", "c")]
    with file.splitter(outputs) as splitter:
        for chunk in file.chunks(2000):
            splitter.add(chunk, targets)
    for number, output in enumerate(outputs):
        again = open_file(output)
        got = [r.raw for chunk in again.chunks(1 << 20) for r in again.records(chunk)]
        assert got == [raw for line, raw in records if targets[line] == number]


@pytest.mark.parametrize("kind", ["jsonl", "crlf", "bom", "csv", "tsv"])
def test_keeping_every_row_copies_the_file(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"data.{kind}", kind)
    file = open_file(path)
    with file.splitter([tmp_path / "a", tmp_path / "b"]) as splitter:
        for chunk in file.chunks(3000):
            splitter.add(chunk, bytearray(2000))
    assert (tmp_path / "a").read_bytes() == path.read_bytes()
    assert (tmp_path / "b").read_bytes() == file.head  # type: ignore[attr-defined]


def test_blank_lines_are_no_rows_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"text":"a"}\n\n  \n{"text":"b"}\n\n')
    assert [(r.line, r.answer) for r in read(path)] == [(1, "a"), (4, "b")]


def test_csv_cells_may_hold_message_lists(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    cell = json.dumps([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b\nc"}])
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([["id", "messages"], ["1", cell], ["2", cell]])
    rows = list(read(path))
    assert [r.answer for r in rows] == ["b\nc", "b\nc"] and rows[0].meta == {"id": "1"}


def test_parquet_with_nested_lists(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    messages = [
        {"role": "user", "content": "a", "tool_calls": None},
        {"role": "assistant", "content": "b", "tool_calls": None},
    ]
    rows = [{"messages": messages, "tags": [["x"], ["y", "z"]]}] * 3
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    found = list(read(tmp_path / "d.parquet"))
    assert [r.answer for r in found] == ["b"] * 3 and found[0].meta["tags"] == [["x"], ["y", "z"]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("e.jsonl", b"", "empty"),
        ("e.json", b" \n\n", "empty"),
        ("e.bin", bytes(range(256)) * 40, "binary"),
        ("e.jsonl", bytes(range(32)) * 40, "binary"),
        ("u.jsonl", '{"text": "a"}\n'.encode("utf-16"), "UTF-16"),
        ("u.jsonl", '{"text": "a"}\n'.encode("utf-16-le"), "UTF-16"),
        ("c.csv", b"a,b\n1,2\n", "none of its columns is known"),
        ("c.txt", b"hello there\n", "no known kind"),
        ("p.json", b'{\n  "text": "a"\n}\n', "several lines"),
        ("p.parquet", b"PAR1 and nothing more", "not a readable Parquet"),
        ("z.jsonl.gz", b"\x1f\x8b\x08\x00broken", "nothing can be read"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        open_file(path)
    assert str(path) in str(caught.value)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_file(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="without Parquet"):
        open_file(tmp_path)


def test_folder_with_one_text_file(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.jsonl", "jsonl")
    assert len(list(read(tmp_path))) == len(ROWS)
    write(tmp_path / "data" / "test.jsonl", "jsonl")
    with pytest.raises(InputError, match=r"several data files: data/test\.jsonl, data/train\.jsonl"):
        open_file(tmp_path)


def test_several_splits_must_be_named(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    split = datasets.Dataset.from_list(ROWS[:5])
    datasets.DatasetDict(train=split, test=split).save_to_disk(str(tmp_path / "d"))
    with pytest.raises(InputError, match="splits test, train"):
        open_file(tmp_path / "d")
    assert len(list(read(tmp_path / "d" / "train"))) == 5


def test_first_broken_row_is_an_error_without_a_listener(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"text":"a"}\n{oops\n')
    rows = read(path)
    assert next(rows).answer == "a"
    with pytest.raises(InputError, match="broken JSON") as caught:
        next(rows)
    assert caught.value.line == 2


@pytest.mark.parametrize("kind", ["jsonl.gz", "json.gz", "jsonl.zst"])
def test_truncated_stream_gives_its_rows_and_one_finding(tmp_path: Path, kind: str) -> None:
    whole = write(tmp_path / f"whole.{kind}", kind).read_bytes()
    if kind == "jsonl.zst":  # one frame that small holds all rows in one block
        zstandard = pytest.importorskip("zstandard")
        frame = zstandard.ZstdCompressor().compressobj()
        half = len(ROWS) // 2
        parts = [b"".join(orjson.dumps(row) + b"\n" for row in rows) for rows in (ROWS[:half], ROWS[half:])]
        whole = frame.compress(parts[0]) + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        cut = len(whole)
    else:
        cut = len(whole) - 40
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(whole[:cut])
    problems: list[Problem] = []
    rows = list(read(path, on_problem=problems.append))
    assert 0 < len(rows) < len(ROWS)
    assert [p.code for p in problems] == ["FM008"] and problems[0].line == len(rows) + 1


@pytest.mark.parametrize("kind", ["jsonl.gz", "jsonl.zst"])
def test_damage_costs_only_the_rows_behind_it(tmp_path: Path, kind: str) -> None:
    lines = b"".join(orjson.dumps(row) + b"\n" for row in ROWS)
    if kind == "jsonl.gz":
        member, checksum = gzip.compress(lines), -6
    else:
        zstandard = pytest.importorskip("zstandard")
        member, checksum = zstandard.ZstdCompressor(write_checksum=True).compress(lines), -1
    damaged = bytearray(member)
    damaged[checksum] ^= 1
    path = tmp_path / f"d.{kind}"
    path.write_bytes(member + damaged)
    problems: list[Problem] = []
    rows = list(read(path, on_problem=problems.append))
    assert [p.code for p in problems] == ["FM008"] and "damaged" in problems[0].message
    assert [r.last_user for r in rows] == [r["prompt"] for r in ROWS] * 2


def test_labels_in_csv_are_true_or_false(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("prompt,completion,label\na,b,True\na,b,false\na,b,joke\n")
    assert [r.meta["label"] for r in read(path)] == [True, False, "joke"]
    assert [r.answer for r in read(path)] == ["b", "", "b"]


@pytest.mark.parametrize(
    ("tail", "code"),
    [(b"", "FM008"), (b', {"text": "c', "FM008"), (b"] trailing", "FM008"), (b", nope]", "FM001")],
)
def test_damaged_arrays_keep_what_came_before(tmp_path: Path, tail: bytes, code: str) -> None:
    path = tmp_path / "d.json"
    path.write_bytes(b'[{"text": "a"}, {"text": "b"}' + tail)
    problems: list[Problem] = []
    rows = [r.answer for r in read(path, on_problem=problems.append)]
    assert rows[0] == "a" and [p.code for p in problems] == [code]


def test_stray_quote_in_csv_costs_few_rows(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b'prompt,completion\na,b\nfive" inch,x\nc,d\nsix" inch,y\ne,f\n')
    problems: list[Problem] = []
    rows = [r.answer for r in read(path, on_problem=problems.append)]
    assert rows == ["b", "f"] and [(p.code, p.line) for p in problems] == [("FM001", 3)]


_cells = st.text(max_size=20) | st.integers() | st.lists(st.text(max_size=4), max_size=3)
_elements = st.dictionaries(st.text(max_size=6), _cells, max_size=3) | st.text(max_size=10) | st.none()


@given(st.lists(_elements, max_size=12), st.sampled_from([None, 2]), st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_array_elements_are_found_by_any_cut(rows: list[object], indent: int | None, block: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "d.json"
        path.write_text(json.dumps(rows, indent=indent))
        patch.setattr("holdfast.formats.streams._READ", block)
        file = ArrayFile(path, ".json", "", path.stat().st_size)
        found = [r for chunk in file.chunks(64) for r in file.records(chunk)]
    assert [orjson.loads(r.raw) for r in found] == rows
    assert all(r.problem is None for r in found)


_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from('\n\r\t"'), max_size=12)


@given(st.lists(_TEXT, min_size=1, max_size=12), st.integers(1, 40), st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_csv_records_are_found_by_any_cut(cells: list[str], block: int, size: int) -> None:
    handle = io.StringIO(newline="")
    out = csv.writer(handle)
    out.writerows([["prompt", "completion"], *([cell, "x"] for cell in cells)])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "d.csv"
        path.write_bytes(handle.getvalue().encode())
        file = open_file(path)
        patch.setattr("holdfast.formats.streams._READ", block)
        found = [r for chunk in file.chunks(size) for r in file.records(chunk)]
    assert [r.value["prompt"] for r in found] == cells


_HEADS = st.sampled_from([b"", b"[", b'[{"text":"', b'{"text":"', b"prompt,completion\n", BOM + b"{"])
_NAMES = st.sampled_from(["d.jsonl", "d.json", "d.csv", "d.parquet", "d"])
_MARKS = st.sampled_from([b'"', b"\\", b",", b"\n", b"]", b"[", b"{", b"}", b"\r\n", b"\x00", b"\xff"])
_TAIL = st.lists(_MARKS | st.binary())


@given(_HEADS, _TAIL, _NAMES, st.integers(1, 50))
@settings(max_examples=400, deadline=None)
def test_any_file_is_read_or_refused(head: bytes, tail: list[bytes], name: str, size: int) -> None:
    data = head + b"".join(tail)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            file = open_file(path)
            chunks = list(file.chunks(size))
        except InputError:
            return
        records = [record for chunk in chunks for record in file.records(chunk)]
        last = max((record.line for record in records), default=0)
        outputs = [Path(folder) / f"out{n}" for n in range(2)]
        with file.splitter(outputs) as splitter:
            for chunk in file.chunks(size):
                splitter.add(chunk, bytearray(max(last, *(c.next_line for c in chunks), 1) + 1))
        if file.kind in ("jsonl", "csv") and not file.compression:  # type: ignore[attr-defined]
            assert outputs[0].read_bytes() == data
