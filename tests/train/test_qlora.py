"""QLoRA: the base in four or eight bits, on a CPU too; guards take the quantised base as reference."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parent))

import gradients as g

from holdfast.lab import base_model
from holdfast.train import Constrained, KLAnchor, SafeGrad, TrainConfig, train
from holdfast.train.guards.kl_anchor import KLAnchorGuard
from holdfast.train.loading import load_base

pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
QLORA = TrainConfig(quantise="4bit", precision="fp32")


def test_the_anchors_gradient_is_the_formula_against_the_quantised_base(data, safety, tmp_path):
    base = base_model()
    rows, safe = g.token_rows(data, base)[:4], g.token_rows(safety, base)
    one = g.Case(base, rows, safe, batching={"quantise": "4bit"})
    trainer, seen = one.run([KLAnchorGuard(KLAnchor(weight=3, batch_size=4))], tmp_path)
    start = load_base(base, QLORA).eval()
    weights = {name: value for name, value in seen.weights[0].items() if "lora" in name}
    model = trainer.accelerator.unwrap_model(trainer.model).eval()
    for name, p in model.named_parameters():
        p.grad = None
        if name in weights:
            p.data.copy_(weights[name])
    (g.nll(model, rows) + 3 * g.kl_to_base(model, start, safe)).backward()
    wanted = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    # TRL keeps the adapter of a quantised base in bf16, so the gradients agree only so far.
    found, wanted = (torch.cat([d[n].float().flatten() for n in wanted]) for d in (seen.gradients[0], wanted))
    assert torch.cosine_similarity(found, wanted, dim=0) > 0.99
    assert float(found.norm()) == pytest.approx(float(wanted.norm()), rel=0.05)


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_an_adapter_on_a_quantised_base_learns_and_loads_on_either_base(data, safety, tmp_path, bits):
    base = base_model()
    config = TrainConfig(
        quantise=bits, r=4, learning_rate=5e-3, max_steps=6, batch_size=4, logging_steps=1,
        guards=[Constrained(), SafeGrad()],
    )  # fmt: skip
    record = train(data, base=base, out=tmp_path / "run", config=config, safety=safety)
    assert record.loss_curve[-1]["loss"] < record.loss_curve[0]["loss"]
    assert all(
        torch.isfinite(t).all() for t in load_file(f"{record.output}/adapter_model.safetensors").values()
    )
    for model in (load_base(base, config), AutoModelForCausalLM.from_pretrained(base)):
        PeftModel.from_pretrained(model, record.output)


def test_a_stored_four_bit_checkpoint_is_trained_as_it_is(data, tmp_path):
    from holdfast.train.loading import load_tokenizer

    folder = tmp_path / "four"
    load_base(base_model(), QLORA).save_pretrained(folder)
    load_tokenizer(base_model()).save_pretrained(folder)
    config = TrainConfig(r=4, max_steps=2, batch_size=4)
    record = train(data, base=folder, out=tmp_path / "run", config=config)
    assert record.steps == 2
