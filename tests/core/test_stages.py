import os
from pathlib import Path

import pytest

from holdfast.stages import run_stage


def writer(calls: list[str], text: str = "out"):
    def work(folder: Path) -> None:
        calls.append("run")
        (folder / "a.txt").write_text(text)

    return work


def test_unchanged_stage_is_skipped_and_changed_inputs_run_again(tmp_path) -> None:
    calls: list[str] = []
    first = run_stage(tmp_path / "s", {"x": 1}, writer(calls))
    again = run_stage(tmp_path / "s", {"x": 1}, writer(calls))
    assert calls == ["run"]
    assert again.skipped and not first.skipped
    assert again.digest == first.digest
    run_stage(tmp_path / "s", {"x": 2}, writer(calls))
    assert calls == ["run", "run"]


def test_a_touched_output_is_accepted_and_a_changed_one_is_made_again(tmp_path) -> None:
    calls: list[str] = []
    run_stage(tmp_path / "s", {"x": 1}, writer(calls))
    os.utime(tmp_path / "s" / "a.txt", (1, 1))
    assert run_stage(tmp_path / "s", {"x": 1}, writer(calls)).skipped
    (tmp_path / "s" / "a.txt").write_text("tampered")
    assert not run_stage(tmp_path / "s", {"x": 1}, writer(calls)).skipped
    assert (tmp_path / "s" / "a.txt").read_text() == "out"
    (tmp_path / "s" / "a.txt").unlink()
    assert not run_stage(tmp_path / "s", {"x": 1}, writer(calls)).skipped


def test_a_failed_stage_resumes_in_its_own_partial_output(tmp_path) -> None:
    def stops(folder: Path) -> None:
        (folder / "part").write_text("half")
        raise RuntimeError("killed")

    def goes_on(folder: Path) -> None:
        assert (folder / "part").read_text() == "half"
        (folder / "part").write_text("whole")

    with pytest.raises(RuntimeError):
        run_stage(tmp_path / "s", {"x": 1}, stops)
    assert run_stage(tmp_path / "s", {"x": 1}, goes_on).outputs.keys() == {"part"}


def test_partial_output_of_other_inputs_is_thrown_away(tmp_path) -> None:
    def stops(folder: Path) -> None:
        (folder / "part").write_text("half")
        raise RuntimeError("killed")

    def starts_over(folder: Path) -> None:
        assert not (folder / "part").exists()
        (folder / "b").write_text("b")

    with pytest.raises(RuntimeError):
        run_stage(tmp_path / "s", {"x": 1}, stops)
    assert run_stage(tmp_path / "s", {"x": 2}, starts_over).outputs.keys() == {"b"}


def test_scratch_folders_are_not_outputs(tmp_path) -> None:
    def work(folder: Path) -> None:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "big").write_text("x")
        (folder / "a").write_text("a")

    assert run_stage(tmp_path / "s", {}, work).outputs.keys() == {"a"}
