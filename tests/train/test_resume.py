"""A run killed at any step ends with the very weights of a run that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from holdfast.train import EMA, KLAnchor, Lisa, Probe, TrainConfig, TrainRecord, train

COMMON = {
    "learning_rate": 5e-3,
    "max_steps": 8,
    "batch_size": 4,
    "gradient_accumulation": 2,
    "r": 4,
    "alpha": 8,
    "dropout": 0.1,
    "save_steps": 2,
    "logging_steps": 1,
}


CHILD = """
import os, pathlib, signal, sys
from holdfast.train import TrainConfig, train
data, base, out, safety, config, at = sys.argv[1:]
done = 0
def count(n):
    global done
    done += n
    if done == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
train(pathlib.Path(data), base=base, out=pathlib.Path(out), safety=pathlib.Path(safety),
      config=TrainConfig.model_validate_json(config), progress=count)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "at"),
    [
        (TrainConfig(**COMMON, guards=[KLAnchor(), EMA(decay=0.5)], probe=Probe(every=3)), 5),
        (TrainConfig(**COMMON, guards=[Lisa(align_steps=1, user_steps=2)]), 7),
        (TrainConfig(**COMMON | {"method": "full"}, guards=[KLAnchor()], probe=Probe(every=3)), 3),
    ],
    ids=["lora-kl-ema-probe", "lora-lisa", "full-kl-probe"],
)
def test_killed_and_resumed_is_the_same(make_model, data, safety, tmp_path, config, at):
    base = make_model()
    whole = train(data, base=base, out=tmp_path / "whole", config=config, safety=safety)
    keywords = {"base": base, "out": tmp_path / "cut", "config": config, "safety": safety}
    arguments = (data, base, tmp_path / "cut", safety, config.model_dump_json(), at)
    done = subprocess.run([sys.executable, "-c", CHILD, *map(str, arguments)], check=False)
    assert done.returncode == -signal.SIGKILL
    # A checkpoint that was being written when the process died.
    torn = tmp_path / "cut" / "checkpoints" / "checkpoint-99"
    torn.mkdir()
    (torn / "adapter_model.safetensors").write_bytes(b"half")
    record = train(data, **keywords)
    assert record.resumed_from == [at - 1 if at % 2 else at]
    name = "adapter_model.safetensors" if config.method == "lora" else "model.safetensors"
    a, b = (load_file(f"{r.output}/{name}") for r in (whole, record))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert [p["loss"] for p in record.loss_curve] == [p["loss"] for p in whole.loss_curve]
    assert record.probe_log == whole.probe_log


def test_a_changed_configuration_starts_over(make_model, data, tmp_path):
    keywords = {"base": make_model(), "out": tmp_path / "run"}
    one = train(data, **keywords, config=TrainConfig(**COMMON))
    two = train(data, **keywords, config=TrainConfig(**COMMON | {"seed": 1}))
    assert one.key != two.key and two.resumed_from == []
    written = json.loads((tmp_path / "run" / "train.json").read_text())
    assert TrainRecord.model_validate(written) == two
