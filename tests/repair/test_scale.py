"""Adapter scaling equals scaling the weight update, and refuses what it cannot scale."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from holdfast.errors import InputError
from holdfast.repair import RepairRecord, scale


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    ],
)
def test_scaling_the_file_scales_the_update(base, make_adapter, weights, tmp_path, options):
    adapter = make_adapter(**options)
    record = scale(adapter, 0.4, tmp_path / "b")
    start = weights.state(base)
    whole, scaled = weights.merged(base, adapter), weights.merged(base, tmp_path / "b")
    for name, tensor in start.items():
        expected = tensor + 0.4 * (whole[name] - tensor)
        assert torch.allclose(scaled[name], expected, atol=1e-6), name
    assert record.tensors["changed"] == 14
    assert RepairRecord.load(tmp_path / "b") == record


def test_zero_gives_the_base(base, make_adapter, weights, tmp_path):
    scale(make_adapter(), 0.0, tmp_path / "b")
    start = weights.state(base)
    assert all(torch.equal(t, start[n]) for n, t in weights.merged(base, tmp_path / "b").items())


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"use_dora": True}, "DoRA"), ({"modules_to_save": ["lm_head"]}, "fully trained")],
)
def test_adapters_that_are_not_plain_lora_are_refused(make_adapter, tmp_path, options, reason):
    with pytest.raises(InputError, match=reason):
        scale(make_adapter(**options), 0.5, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_bad_input_is_named(base, make_adapter, tmp_path):
    with pytest.raises(InputError, match="no such adapter"):
        scale(tmp_path / "absent", 0.5, tmp_path / "b")
    with pytest.raises(InputError, match=r"adapter_config\.json"):
        scale(base, 0.5, tmp_path / "b")
    adapter = make_adapter()
    with pytest.raises(InputError, match="alpha"):
        scale(adapter, float("nan"), tmp_path / "b")
    with pytest.raises(InputError, match="source folder"):
        scale(adapter, 0.5, adapter)
    torn = tmp_path / "torn"
    shutil.copytree(adapter, torn)
    data = (torn / "adapter_model.safetensors").read_bytes()
    (torn / "adapter_model.safetensors").write_bytes(data[:-10])
    with pytest.raises(InputError, match="cut short"):
        scale(torn, 0.5, tmp_path / "b")
    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "IA3"}))
    with pytest.raises(InputError, match="IA3"):
        scale(other, 0.5, tmp_path / "b")
