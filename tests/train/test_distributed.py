"""Two processes (gloo, on the CPU) train the very steps that one process does with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from holdfast.train import EMA, Constrained, KLAnchor, SafeGrad, TrainConfig, train

CHILD = """
import pathlib, sys
from holdfast.train import TrainConfig, train
data, base, out, safety, config = sys.argv[1:]
train(pathlib.Path(data), base=base, out=pathlib.Path(out), safety=pathlib.Path(safety),
      config=TrainConfig.model_validate_json(config))
"""


@pytest.mark.slow
def test_two_processes_equal_one(make_model, data, safety, tmp_path):
    # The data set is one batch, so that its split over processes cannot matter.
    lines = data.read_text().splitlines()[:4]
    data.write_text("\n".join(lines))
    base = make_model()
    common = {"learning_rate": 5e-3, "max_steps": 3, "r": 4, "alpha": 8, "logging_steps": 1}
    guards = [Constrained(), KLAnchor(weight=2, batch_size=4), SafeGrad(batch_size=4), EMA(decay=0.5)]
    alone = train(
        data,
        base=base,
        out=tmp_path / "one",
        config=TrainConfig(**common, batch_size=4, guards=guards),
        safety=safety,
    )
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    config = TrainConfig(**common, batch_size=2, guards=guards).model_dump_json()
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        + [str(x) for x in (script, data, base, tmp_path / "two", safety, config)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one = load_file(f"{alone.output}/adapter_model.safetensors")
    two = load_file(tmp_path / "two" / "adapter" / "adapter_model.safetensors")
    for name, tensor in one.items():
        assert torch.allclose(two[name], tensor, atol=2e-4), (name, (two[name] - tensor).abs().max())
