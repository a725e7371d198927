"""Tensors pass through one at a time, byte for byte where nothing is changed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from holdfast.errors import InputError, RunError
from holdfast.repair.stream import header, rewrite, tensors

MEMORY = """
import pathlib, resource, sys
import torch
from holdfast.repair.stream import rewrite
from holdfast.train.weights import WeightReader
folder = pathlib.Path(sys.argv[1])
base = WeightReader(folder)
rewrite(folder / "small.safetensors", folder / "warm.safetensors", lambda n, t: t + 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rewrite(folder / "model.safetensors", folder / "out.safetensors",
        lambda name, tensor: tensor * 0.5 + base.get(name) * 0.5)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_an_unchanged_file_is_copied_byte_for_byte(tmp_path):
    values = {
        "b": torch.randn(3, 4).to(torch.bfloat16),
        "a": torch.arange(6),
        "half": torch.randn(2).half(),
        "empty": torch.zeros(0, 3),
        "flag": torch.tensor([True, False]),
        "eight": torch.randn(4).to(torch.float8_e4m3fn),
    }
    save_file(values, tmp_path / "x.safetensors", metadata={"format": "pt"})
    changed = rewrite(tmp_path / "x.safetensors", tmp_path / "y.safetensors", lambda name, tensor: tensor)
    assert changed == 0
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()
    found = dict(tensors(tmp_path / "x.safetensors"))
    assert all(torch.equal(found[n].float(), values[n].float()) for n in values)


def test_a_change_keeps_type_and_the_rest(tmp_path):
    save_file({"a": torch.ones(2).half(), "b": torch.ones(2)}, tmp_path / "x.safetensors")
    rewrite(
        tmp_path / "x.safetensors",
        tmp_path / "y.safetensors",
        lambda name, tensor: tensor.float() * 3 if name == "a" else tensor,
    )
    found = load_file(tmp_path / "y.safetensors")
    assert found["a"].dtype == torch.float16 and found["a"].tolist() == [3, 3]
    assert found["b"].tolist() == [1, 1]


def test_what_cannot_be_read_or_written_is_said(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    out = tmp_path / "y.safetensors"
    with pytest.raises(RunError, match="not finite"):
        rewrite(tmp_path / "x.safetensors", out, lambda name, tensor: tensor / 0)
    with pytest.raises(RunError, match="shape"):
        rewrite(tmp_path / "x.safetensors", out, lambda name, tensor: tensor[:1])
    assert not out.exists()
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(InputError, match="not a sound"):
        header(tmp_path / "bad.safetensors")


@pytest.mark.slow
def test_the_memory_is_that_of_a_few_tensors(tmp_path):
    """A file of 160 MB in tensors of 4 MB is rewritten against another with far less than itself."""
    save_file({str(i): torch.randn(1 << 20) for i in range(40)}, tmp_path / "model.safetensors")
    save_file({"a": torch.randn(1 << 20)}, tmp_path / "small.safetensors")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 40
