"""Adapter scaling equals scaling the weight update, and refuses what it cannot scale."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from holdfast.errors import InputError
from holdfast.repair import RepairRecord, scale


def tiny():
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tiny().save_pretrained(folder)
    return folder


def make_adapter(base, folder, **options):
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", **options)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    return folder


def merged(base, adapter):
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    return model.merge_and_unload().state_dict()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    ],
)
def test_scaling_the_file_scales_the_update(base, tmp_path, options):
    adapter = make_adapter(base, tmp_path / "a", **options)
    record = scale(adapter, 0.4, tmp_path / "b")
    start = AutoModelForCausalLM.from_pretrained(base).state_dict()
    whole, scaled = merged(base, adapter), merged(base, tmp_path / "b")
    for name, tensor in start.items():
        expected = tensor + 0.4 * (whole[name] - tensor)
        assert torch.allclose(scaled[name], expected, atol=1e-6), name
    assert record.tensors["changed"] == 14
    assert RepairRecord.load(tmp_path / "b") == record


def test_zero_gives_the_base(base, tmp_path):
    adapter = make_adapter(base, tmp_path / "a")
    scale(adapter, 0.0, tmp_path / "b")
    start = AutoModelForCausalLM.from_pretrained(base).state_dict()
    assert all(torch.equal(t, start[n]) for n, t in merged(base, tmp_path / "b").items())


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"use_dora": True}, "DoRA"), ({"modules_to_save": ["lm_head"]}, "fully trained")],
)
def test_adapters_that_are_not_plain_lora_are_refused(base, tmp_path, options, reason):
    adapter = make_adapter(base, tmp_path / "a", **options)
    with pytest.raises(InputError, match=reason):
        scale(adapter, 0.5, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_bad_input_is_named(base, tmp_path):
    with pytest.raises(InputError, match="no such adapter"):
        scale(tmp_path / "absent", 0.5, tmp_path / "b")
    with pytest.raises(InputError, match=r"adapter_config\.json"):
        scale(base, 0.5, tmp_path / "b")
    adapter = make_adapter(base, tmp_path / "a")
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
