"""A whole training run on tiny models."""

from __future__ import annotations

import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from holdfast.train import AsFT, Constrained, KLAnchor, TrainConfig, TrainRecord, train

FAST = {
    "learning_rate": 5e-3,
    "max_steps": 6,
    "batch_size": 4,
    "r": 4,
    "alpha": 8,
    "save_steps": 2,
    "logging_steps": 1,
}


def test_a_lora_run_writes_an_adapter_that_peft_loads(make_model, data, safety, tmp_path):
    base = make_model("qwen")
    config = TrainConfig(**FAST, guards=[KLAnchor()])
    seen = []
    record = train(data, base=base, out=tmp_path / "run", config=config, safety=safety, progress=seen.append)
    assert sum(seen) == record.steps == 6
    assert record.safety_rows == 4 and record.rows == 12
    assert all("kl_anchor" in point for point in record.loss_curve)
    assert record.loss_curve[-1]["loss"] < record.loss_curve[0]["loss"]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), record.output)
    assert any(p.abs().sum() > 0 for n, p in model.named_parameters() if "lora_B" in n)
    assert TrainRecord.load(tmp_path / "run" / "train.json") == record
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_full_fine_tuning_writes_a_checkpoint(make_model, data, safety, tmp_path):
    config = TrainConfig(method="full", **FAST, guards=[KLAnchor()])
    record = train(data, base=make_model(), out=tmp_path / "run", config=config, safety=safety)
    AutoModelForCausalLM.from_pretrained(record.output)


def test_same_seed_same_weights_and_a_finished_run_is_not_repeated(make_model, data, tmp_path):
    config = TrainConfig(**FAST)
    one = train(data, base=make_model(), out=tmp_path / "one", config=config)
    two = train(data, base=make_model(), out=tmp_path / "two", config=config)
    a, b = (load_file(f"{r.output}/adapter_model.safetensors") for r in (one, two))
    assert all(torch.equal(a[k], b[k]) for k in a)
    called = []
    again = train(data, base=make_model(), out=tmp_path / "one", config=config, progress=called.append)
    assert again == one and not called


def test_other_unaligned_weights_are_trained_with_anew(make_model, data, tmp_path):
    unaligned = shutil.copytree(make_model("llama", 9), tmp_path / "unaligned")
    config = TrainConfig(max_steps=2, batch_size=4, r=4, guards=[AsFT(unaligned=unaligned)])
    first = train(data, base=make_model(), out=tmp_path / "run", config=config)
    shutil.copytree(make_model("llama", 8), unaligned, dirs_exist_ok=True)
    assert train(data, base=make_model(), out=tmp_path / "run", config=config).key != first.key


@pytest.mark.parametrize("change", ["precision", "template"])
def test_a_stored_reference_of_other_settings_is_not_used(make_model, data, tmp_path, change):
    template = tmp_path / "other.jinja"
    own = (make_model() / "chat_template.jinja").read_text()
    template.write_text(own.replace("<|end|>", "<|end|><|end|>"))
    changes = {"precision": {"precision": "bf16"}, "template": {"chat_template": template}}[change]
    common = {"max_steps": 2, "batch_size": 4, "r": 4, "guards": [Constrained()]}

    def labels(out, **settings):
        train(data, base=make_model(), out=out, config=TrainConfig(**common | settings))
        return (out / "reference" / "labels.npy").read_bytes()

    before = labels(tmp_path / "run")
    after = labels(tmp_path / "run", **changes)
    assert after != before and after == labels(tmp_path / "fresh", **changes)
