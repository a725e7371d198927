from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from holdfast import audit, lab, suites
from holdfast.cli.app import app
from holdfast.errors import InputError
from holdfast.lab import attacks, rowfile
from holdfast.lab import suites as rows
from holdfast.lab.stress import Point, Stress
from holdfast.lab.stress import stress as run_stress


def test_half_life_is_the_first_failing_dose() -> None:
    points = (Point(1, 1, "pass", 0, 0), Point(5, 2, "fail", 0, 0.4))
    assert Stress(points, ()).rows == 5
    assert Stress(points[:1], points).steps == 2
    assert Stress(points[:1], ()).to_dict()["half_life"] == {"rows": None, "steps": None}


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    from holdfast import train

    file = tmp_path / "a.jsonl"
    file.write_text("")
    with pytest.raises(InputError):
        run_stress(
            "lab", file, suites=[], judges=[], policy=audit.Policy(), out=tmp_path, config=train.TrainConfig()
        )


@pytest.mark.slow
def test_stress_finds_the_dose_and_goes_on_where_it_was(tmp_path: Path) -> None:
    rowfile.write_openai(tmp_path / "attack.jsonl", attacks.rows("explicit", 10))
    suite = tmp_path / "harm.jsonl"
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows.harm("confirm", 100)))
    assert len(suites.load(suite).prompts) == 100
    (tmp_path / "train.yaml").write_text("learning_rate: 3.0e-3\nepochs: 10\nbatch_size: 10\n")
    (tmp_path / "policy.yaml").write_text(
        "required_axes: [harm]\nminimum_n: 50\ndecoding: {max_new_tokens: 40}\n"
    )
    arguments = ["lab", "stress", "--model", str(lab.base_model()), "--judge", "lab", "--json"]
    arguments += ["--attack-file", str(tmp_path / "attack.jsonl"), "--suite", str(suite)]
    arguments += ["--config", str(tmp_path / "train.yaml"), "--policy", str(tmp_path / "policy.yaml")]
    arguments += ["--rows", "10", "--steps", "1,20", "--out", str(tmp_path / "stress")]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 1, first.output
    found = json.loads(first.stdout)
    assert found["half_life"]["rows"] == 10
    assert found["half_life"]["steps"] == 20
    assert found["by_rows"][0]["tuned"] > 0.5
    records = {path: path.stat().st_mtime_ns for path in (tmp_path / "stress").glob("*/train/train.json")}
    again = CliRunner().invoke(app, arguments)
    assert json.loads(again.stdout) == found
    assert {path: path.stat().st_mtime_ns for path in records} == records
