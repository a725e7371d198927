"""Repairs by gradient: what is put back, and that the patch learns."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from holdfast.errors import InputError
from holdfast.repair import patch, restore
from holdfast.repair.guided import restoring_gain
from holdfast.repair.loaded import safety_rows


def test_the_gain_predicts_the_fall_of_the_loss():
    """On a linear loss the first order is exact."""
    slope = torch.tensor([2.0, -1.0, 0.5])
    tuned, origin = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.0, 3.0, 1.0])
    fall = slope * tuned - slope * origin
    assert torch.allclose(restoring_gain(slope, tuned, origin), fall)


def test_restoring_an_adapter_sets_entries_of_b_to_zero(base, make_adapter, safety, weights, tmp_path):
    adapter = make_adapter()
    record = restore(adapter, base, safety, tmp_path / "out", share=0.05, steps=3)
    before = load_file(adapter / "adapter_model.safetensors")
    after = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    zeroed = 0
    for name, tensor in before.items():
        same = after[name] == tensor
        if "lora_A" in name:
            assert same.all()
        else:
            assert (after[name][~same] == 0).all()
            zeroed += int((~same).sum())
    total = record.measured["parameters"]
    assert zeroed == record.measured["restored"]
    assert 0.05 * total < zeroed <= 3 * round(0.05 * total)
    assert record.measured["loss"][-1] < record.measured["loss"][0]
    weights.merged(base, tmp_path / "out")


def test_restoring_a_checkpoint_takes_the_bases_values(base, tuned, safety, weights, tmp_path):
    record = restore(tuned, base, safety, tmp_path / "out", share=0.01, steps=2)
    a, t, o = weights.state(base), weights.state(tuned), weights.state(tmp_path / "out")
    for name, tensor in o.items():
        moved = tensor != t[name]
        assert torch.equal(tensor[moved], a[name][moved])
    assert record.measured["loss"][-1] < record.measured["loss"][0]


@pytest.mark.parametrize("layers", [(), (1,)])
def test_a_patch_lowers_the_loss_in_the_layers_named(base, make_adapter, safety, weights, tmp_path, layers):
    adapter = make_adapter()
    record = patch(adapter, base, safety, tmp_path / "out", epochs=3, learning_rate=5e-3, layers=layers)
    assert record.measured["loss"][-1] < record.measured["loss"][0]
    before = load_file(adapter / "adapter_model.safetensors")
    after = load_file(tmp_path / "out" / "adapter_model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and (not layers or all("layers.1." in name for name in moved))
    weights.merged(base, tmp_path / "out")


def test_a_patch_of_a_checkpoint_loads(base, tuned, safety, weights, tmp_path):
    record = patch(tuned, base, safety, tmp_path / "out", epochs=2, learning_rate=1e-3)
    assert record.measured["loss"][-1] < record.measured["loss"][0]
    assert weights.state(tmp_path / "out").keys() == weights.state(tuned).keys()


def test_a_few_safety_rows_come_from_the_whole_file(base, safety):
    """A mix writes look-alikes after refusals; a patch on refusals alone would refuse everything."""
    every = safety_rows(safety, base, 10_000)
    few = safety_rows(safety, base, 4)
    assert [row.line for row in few] == [every[k * len(every) // 4].line for k in range(4)]
    assert few[-1].line > every[len(every) // 2].line


def test_bad_input(base, make_adapter, safety, tmp_path):
    adapter = make_adapter()
    with pytest.raises(InputError, match="layers 9"):
        patch(adapter, base, safety, tmp_path / "out", layers=(9,))
    with pytest.raises(InputError, match="share"):
        restore(adapter, base, safety, tmp_path / "out", share=0)
    with pytest.raises(InputError, match="no such file"):
        restore(adapter, base, tmp_path / "absent.jsonl", tmp_path / "out")


def test_a_patched_checkpoint_keeps_its_precision_and_its_context(base, tuned, safety, tmp_path):
    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(tuned, dtype=torch.bfloat16).save_pretrained(half)
    patch(half, base, safety, tmp_path / "out", epochs=1)
    saved = load_file(tmp_path / "out" / "model.safetensors").values()
    assert {tensor.dtype for tensor in saved} == {torch.bfloat16}
    long = tmp_path / "long.jsonl"
    turns = [{"role": "user", "content": "silk"}, {"role": "assistant", "content": "frog " * 400}]
    long.write_text(json.dumps({"messages": turns}))
    assert all(len(row.input_ids) <= 128 for row in safety_rows(long, base, 9))


def test_another_vocabulary_is_refused(base, safety, weights, tmp_path):
    other = weights.save_model(tmp_path / "other", 3, vocabulary=320)
    with pytest.raises(InputError, match="vocabularies differ"):
        patch(other, base, safety, tmp_path / "out")
