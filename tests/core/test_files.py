import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import files
from holdfast.errors import InputError, RunError


def test_atomic_writer_leaves_the_old_file_when_the_writer_fails(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ValueError), files.atomic_writer(path) as handle:
        handle.write(b"new")
        raise ValueError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_write_into_a_file_as_folder_is_a_run_error(tmp_path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(RunError, match="cannot write"):
        files.write_text(tmp_path / "f" / "g.txt", "x")


@given(st.binary(max_size=40).filter(lambda b: b"\n" not in b))
def test_jsonlines_cuts_a_torn_last_line(tmp_path_factory, torn: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    with files.JsonLines(path) as log:
        log.extend([{"a": 1}, {"a": 2}])
    with path.open("ab") as handle:
        handle.write(torn)
    with files.JsonLines(path) as log:
        log.append({"a": 3})
    assert [r["a"] for r in files.JsonLines(path).read()] == [1, 2, 3]


def test_a_second_process_is_refused_and_the_lock_dies_with_its_holder(tmp_path) -> None:
    code = (
        "import sys,time\nfrom holdfast.files import folder_lock\n"
        "with folder_lock(sys.argv[1]):\n print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another holdfast process"), files.folder_lock(tmp_path):
            pass
        os.kill(holder.pid, 9)
    with files.folder_lock(tmp_path):
        pass


def test_digest_value_ignores_key_order() -> None:
    assert files.digest_value({"a": 1, "b": 2}) == files.digest_value({"b": 2, "a": 1})


@given(st.text(alphabet="=+-@'\t\r\nab1", max_size=6))
def test_cells_are_no_formulas_and_come_back(text: str) -> None:
    from holdfast.files import from_cell, to_cell

    assert to_cell(text)[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
    assert from_cell(to_cell(text)) == text
