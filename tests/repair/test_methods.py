"""Every weight edit against its formula, on what transformers and PEFT load afterwards."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from holdfast.errors import InputError
from holdfast.repair import RepairRecord, interpolate, lox, merge, patch, resta, safelora, safemerge, scale
from holdfast.repair.safety_vector import dare
from holdfast.repair.subspace import choose


def linear(state):
    return [n for n, t in state.items() if ".layers." in n and t.ndim == 2]


def close(found, expected, tolerance=2e-6):
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.allclose(found[name], expected[name], atol=tolerance), name


def test_interpolation(base, tuned, weights, tmp_path):
    record = interpolate(tuned, base, 0.3, tmp_path / "out")
    a, b = weights.state(base), weights.state(tuned)
    close(weights.state(tmp_path / "out"), {n: a[n] + 0.3 * (b[n] - a[n]) for n in a})
    shards = sorted(p.name for p in tuned.glob("*.safetensors"))
    assert len(shards) > 1
    assert sorted(p.name for p in (tmp_path / "out").glob("*.safetensors")) == shards
    assert RepairRecord.load(tmp_path / "out") == record


def test_half_precision_stays_half_precision(tuned, base, tmp_path):
    from transformers import AutoModelForCausalLM

    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(tuned, dtype=torch.bfloat16).save_pretrained(half)
    interpolate(half, base, 0.5, tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_merge_equals_pefts_own(base, make_adapter, weights, tmp_path):
    adapter = make_adapter(use_rslora=True, rank_pattern={"q_proj": 2})
    merge(adapter, base, tmp_path / "out")
    close(weights.state(tmp_path / "out"), weights.merged(base, adapter))


@pytest.mark.parametrize("form", ["published", "exact"])
@pytest.mark.parametrize("kind", ["adapter", "checkpoint"])
def test_safelora(base, unaligned, tuned, make_adapter, weights, tmp_path, form, kind):
    source = make_adapter() if kind == "adapter" else tuned
    a, u = weights.state(base), weights.state(unaligned)
    t = weights.merged(base, source) if kind == "adapter" else weights.state(tuned)
    expected, cosines = dict(t), {}
    for name in linear(a):
        v = a[name] - u[name]
        if form == "published":
            c = v @ v.T / v.norm()
        else:
            left = torch.linalg.svd(v)[0][:, :5]
            c = left @ left.T
        update = t[name] - a[name]
        cosines[name] = float(
            torch.nn.functional.cosine_similarity((c @ update).flatten(), update.flatten(), dim=0)
        )
        expected[name] = a[name] + c @ update
    threshold = float(np.median(list(cosines.values())))
    for name, cosine in cosines.items():
        if cosine > threshold:
            expected[name] = t[name]
    record = safelora(
        source, base, unaligned, tmp_path / "out", threshold=threshold + 1e-5, form=form, rank=5
    )
    found = weights.merged(base, tmp_path / "out") if kind == "adapter" else weights.state(tmp_path / "out")
    close(found, expected, 1e-5)
    assert len(record.measured["modules"]) == 7
    for name, cosine in record.measured["cosines"].items():
        key = name if kind == "checkpoint" else f"{name}.weight"
        assert cosine == pytest.approx(cosines[key], abs=1e-4)


def test_the_lowest_modules_or_a_threshold_but_not_both():
    cosines = {"a": 0.9, "b": 0.1, "c": 0.5}
    assert choose(cosines, 0.5, None) == ["b", "c"]
    assert choose(cosines, None, 1) == ["b"]
    for both in ((None, None), (0.5, 1)):
        with pytest.raises(InputError, match="either"):
            choose(cosines, *both)


def test_safemerge(base, unaligned, make_adapter, weights, tmp_path):
    one, safe = make_adapter("one", 1), make_adapter("safe", 2, r=2, lora_alpha=2)
    record = safemerge(one, safe, base, unaligned, tmp_path / "out", threshold=None, lowest=5, weight=0.7)
    a, t, s = weights.state(base), weights.merged(base, one), weights.merged(base, safe)
    chosen = {f"{name}.weight" for name in record.measured["modules"]}
    assert len(chosen) == 5
    expected = {n: a[n] + 0.7 * (t[n] - a[n]) + 0.3 * (s[n] - a[n]) if n in chosen else t[n] for n in a}
    close(weights.merged(base, tmp_path / "out"), expected)


def test_resta_on_a_checkpoint_with_and_without_dare(base, unaligned, tuned, weights, tmp_path):
    resta(tuned, base, unaligned, tmp_path / "a", gamma=0.5)
    a, u, t = (weights.state(p) for p in (base, unaligned, tuned))
    close(weights.state(tmp_path / "a"), {n: t[n] + 0.5 * (a[n] - u[n]) for n in a})
    resta(tuned, base, unaligned, tmp_path / "b", gamma=0.0, drop=0.4)
    for name, found in weights.state(tmp_path / "b").items():
        task, kept = t[name] - a[name], (found - a[name])
        dropped = kept.abs() < 1e-6
        assert torch.allclose(kept[~dropped], task[~dropped] / 0.6, atol=1e-5)
        if task.numel() > 200 and float(task.abs().sum()) > 0:
            assert 0.25 < float(dropped.float().mean()) < 0.55


def test_resta_on_an_adapter_adds_the_best_low_rank_part(base, unaligned, make_adapter, weights, tmp_path):
    adapter = make_adapter()
    record = resta(adapter, base, unaligned, tmp_path / "out", gamma=0.5, rank=3)
    a, u, t = weights.state(base), weights.state(unaligned), weights.merged(base, adapter)
    expected = dict(t)
    for name in linear(a):
        left, s, right = torch.linalg.svd(a[name] - u[name], full_matrices=False)
        expected[name] = t[name] + 0.5 * (left[:, :3] * s[:3]) @ right[:3]
        kept = float(s[:3].square().sum() / s.square().sum())
        assert record.measured["energy_kept"][name.removesuffix(".weight")] == pytest.approx(kept, abs=1e-5)
    close(weights.merged(base, tmp_path / "out"), expected, 1e-5)
    with pytest.raises(InputError, match="full-rank"):
        resta(adapter, base, unaligned, tmp_path / "x", drop=0.1)


def test_dare_keeps_the_expectation():
    update = torch.ones(200, 200)
    found = dare(update, 0.3, seed=1)
    assert torch.allclose(found.unique(), torch.tensor([0.0, 1 / 0.7]))
    assert float(found.mean()) == pytest.approx(1.0, abs=0.02)
    assert torch.equal(found, dare(update, 0.3, seed=1))
    assert not torch.equal(found, dare(update, 0.3, seed=2))


def test_lox(base, unaligned, weights, tmp_path):
    lox(base, unaligned, tmp_path / "out", c=1.5, rank=2)
    a, u = weights.state(base), weights.state(unaligned)
    expected = dict(a)
    for name in linear(a):
        left, s, right = torch.linalg.svd(a[name] - u[name], full_matrices=False)
        expected[name] = a[name] + 1.5 * (left[:, :2] * s[:2]) @ right[:2]
    close(weights.state(tmp_path / "out"), expected, 1e-5)


def test_checkpoints_that_do_not_match_are_refused(base, tuned, unaligned, make_adapter, weights, tmp_path):
    wider = weights.save_model(tmp_path / "wider", 3, vocabulary=310)
    with pytest.raises(InputError, match="vocabularies differ"):
        interpolate(wider, base, 0.5, tmp_path / "out")
    adapter = make_adapter()
    with pytest.raises(InputError, match="a full checkpoint is needed"):
        interpolate(adapter, base, 0.5, tmp_path / "out")
    from transformers import LlamaConfig, LlamaForCausalLM

    other = tmp_path / "other"
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
        )
    ).save_pretrained(other)
    with pytest.raises(InputError, match="does not fit this base"):
        merge(adapter, other, tmp_path / "out")
    with pytest.raises(InputError, match="does not fit this base"):
        safelora(adapter, other, other, tmp_path / "out")
    cut = tmp_path / "cut"
    shutil.copytree(tuned, cut)
    next(cut.glob("model-00002*")).unlink()
    with pytest.raises(InputError, match="missing"):
        interpolate(cut, base, 0.5, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_quantised_weights_are_refused(base, tuned, tmp_path):
    import json

    folder = tmp_path / "quantised"
    shutil.copytree(tuned, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"quantization_config": {"quant_method": "gptq"}})
    )
    with pytest.raises(InputError, match="quantised"):
        interpolate(folder, base, 0.5, tmp_path / "out")


def test_tied_embeddings_stay_tied(tmp_path):
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    folders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            tie_word_embeddings=True,
        )
        LlamaForCausalLM(config).save_pretrained(tmp_path / str(seed))
        folders.append(tmp_path / str(seed))
    interpolate(folders[1], folders[0], 0.5, tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    one, two = (AutoModelForCausalLM.from_pretrained(f).lm_head.weight for f in folders)
    assert torch.allclose(model.lm_head.weight, (one + two) / 2, atol=1e-6)


def _gpt2(folder, seed):
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=50, n_positions=16, n_embd=8, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_layers_of_gpt2_are_treated_though_their_weights_are_turned(tmp_path):
    base, before, tuned = (_gpt2(tmp_path / name, i) for i, name in enumerate(("base", "before", "tuned")))
    assert lox(base, before, tmp_path / "lox", rank=1).tensors["changed"] == 8
    record = safelora(tuned, base, before, tmp_path / "out", threshold=1.0)
    assert record.tensors["changed"] == 8
    name = "transformer.h.0.mlp.c_fc.weight"
    w, v, start = (load_file(f / "model.safetensors")[name].T for f in (tuned, before, base))
    v = start - v
    wanted = start + v @ v.T @ (w - start) / v.norm()
    assert torch.allclose(load_file(tmp_path / "out" / "model.safetensors")[name].T, wanted, atol=1e-5)


def test_a_checkpoint_without_known_layers_is_an_error(tmp_path):
    for seed, name in enumerate(("base", "before")):
        _gpt2(tmp_path / name, seed)
        tensors = load_file(tmp_path / name / "model.safetensors")
        renamed = {key.replace(".h.", ".part"): value for key, value in tensors.items()}
        save_file(renamed, tmp_path / name / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="no tensor would be treated"):
        lox(tmp_path / "base", tmp_path / "before", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings_without_sense_are_refused(base, unaligned, make_adapter, safety, tmp_path):
    adapter, out = make_adapter(), tmp_path / "out"
    for wrong in (
        lambda: resta(adapter, base, unaligned, out, gamma=float("nan")),
        lambda: resta(adapter, base, unaligned, out, rank=0),
        lambda: safelora(adapter, base, unaligned, out, threshold=None, lowest=-3),
        lambda: lox(base, unaligned, out, rank=-1),
        lambda: lox(base, unaligned, out, c=float("inf")),
        lambda: patch(adapter, base, safety, out, epochs=0),
    ):
        with pytest.raises(InputError, match="must be"):
            wrong()
    assert not out.exists()


def test_the_readme_says_what_was_done(make_adapter, tmp_path):
    adapter = make_adapter()
    (adapter / "README.md").write_text("# Mine\n")
    scale(adapter, 0.5, tmp_path / "one")
    scale(tmp_path / "one", 0.5, tmp_path / "two")
    text = (tmp_path / "two" / "README.md").read_text()
    assert text.startswith("# Mine\n") and text.count("multiplied by 0.5") == 2
    assert text.count("## Repair") == 1 and (adapter / "README.md").read_text() == "# Mine\n"
