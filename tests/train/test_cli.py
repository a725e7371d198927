"""The verbs, end to end, through the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def holdfast(*args) -> subprocess.CompletedProcess:
    env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from holdfast.cli.app import main; main()", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.slow
def test_train_then_scale(make_model, data, safety, tmp_path):
    config = tmp_path / "train.yaml"
    config.write_text("max_steps: 3\nlearning_rate: 0.005\nr: 4\n")
    common = ("--base", make_model(), "--config", config, "--out", tmp_path / "run", "--json")
    done = holdfast("train", data, *common, "--safety", safety, "--guard", "kl_anchor:weight=3")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["steps"] == 3 and record["config"]["guards"][0]["weight"] == 3
    done = holdfast(
        "repair", "scale", record["output"], "--alpha", "0.5", "--out", tmp_path / "half", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"] == {"alpha": 0.5}
    missing = holdfast("train", tmp_path / "absent.jsonl", *common)
    assert missing.returncode == 2 and "no such file" in missing.stderr
    assert "Traceback" not in missing.stderr
