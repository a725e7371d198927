"""What goes wrong with local models: each with a clear error, no unit lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import TEMPLATE, save_adapter, save_llama, save_tokenizer

from holdfast import models
from holdfast.conversation import chat
from holdfast.errors import InputError
from holdfast.models import Decoding, Prompt
from holdfast.models.engine import Engine

Copy = Callable[[Path], Path]
PROMPTS = [Prompt(chat(("user", f"how do i bake {'bread ' * n}?"))) for n in (3, 0, 7, 1, 5)]
DECODING = Decoding(max_new_tokens=6)


def change_json(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_folders_that_are_no_models(tmp_path: Path, llama: Path, copy_of: Copy) -> None:
    with pytest.raises(InputError, match="no such folder") as caught:
        models.load(tmp_path / "gone")
    assert "hf:" in (caught.value.fix or "")
    with pytest.raises(InputError, match="empty model reference"):
        models.load("")
    with pytest.raises(InputError, match=r"no config.json.*did you mean tiny-llama"):
        models.load(llama.parent)
    with pytest.raises(InputError, match="a file, not a model folder"):
        models.load(llama / "config.json")
    folder = copy_of(llama)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no weights"):
        models.load(folder)
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    with pytest.raises(InputError, match="git-lfs pointer"):
        models.load(folder)
    (folder / "model.safetensors").write_bytes(b"not a safetensors file at all")
    with pytest.raises(InputError, match="cannot load the model"):
        models.load(folder).generate(PROMPTS[:1], DECODING)


def test_missing_tensors_are_not_filled_with_random_numbers(llama: Path, copy_of: Copy) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(llama)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack tensors .*layers.1.mlp.up_proj"):
        models.load(folder).generate(PROMPTS[:1], DECODING)


def test_no_chat_template_no_tokenizer_remote_code(tmp_path: Path, llama: Path, copy_of: Copy) -> None:
    folder = copy_of(llama)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        models.load(folder)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(InputError, match="no usable tokenizer"):
        models.load(folder)
    change_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})
    with pytest.raises(InputError, match="never does"):
        models.load(folder)


def test_a_hub_name_offline_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"nobody/nothing .*cannot be reached"):
        models.load("hf:nobody/nothing")
    with pytest.raises(InputError, match="not a hub name"):
        models.load("hf:a b/c d")


def test_an_adapter_of_another_base(tmp_path: Path, llama: Path, adapter: Path, copy_of: Copy) -> None:
    other = save_llama(tmp_path / "other-llama", seed=5, width=64)
    with pytest.raises(InputError, match="was trained on"):
        models.load_pair(other, adapter)
    with pytest.raises(InputError, match="was trained on"):
        models.load(adapter, base=other)
    moved = copy_of(adapter)
    change_json(moved / "adapter_config.json", base_model_name_or_path="/nowhere/other-llama")
    with pytest.raises(InputError, match="is not there any more"):
        models.load(moved)
    with pytest.raises(InputError, match="does not fit the base"):  # only the shapes can tell
        models.load_pair(other, moved)[1].generate(PROMPTS[:1], DECODING)
    renamed = Path(shutil.copytree(llama, tmp_path / "renamed"))
    _, tuned = models.load_pair(renamed, adapter)  # the same weights in another folder
    assert tuned.generate(PROMPTS, DECODING) == models.load(adapter).generate(PROMPTS, DECODING)
    change_json(moved / "adapter_config.json", base_model_name_or_path=None)
    with pytest.raises(InputError, match="does not name its base"):
        models.load(moved)
    (moved / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no adapter_model"):
        models.load(moved, base=llama)


def test_an_adapter_that_does_not_switch_off_exactly_gets_its_own_base(tmp_path: Path, llama: Path) -> None:
    biased = save_adapter(tmp_path / "biased", llama, bias="lora_only")
    base, tuned = models.load_pair(llama, biased)
    assert base.engine is not tuned.engine  # type: ignore[attr-defined]
    assert base.generate(PROMPTS, DECODING) == models.load(llama).generate(PROMPTS, DECODING)


def test_nan_logits_are_errors(llama: Path, copy_of: Copy) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(llama)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"] * float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model = models.load(folder)
    for decoding in (DECODING, Decoding(6, temperature=1.0, samples=2)):
        answers = model.generate(PROMPTS, decoding)
        assert all(c.finish == "error" and "NaN" in (c.error or "") for a in answers for c in a)
    assert np.isnan(model.first_token(PROMPTS)).all()  # type: ignore[attr-defined]


def test_out_of_memory_halves_the_batch_and_loses_nothing(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    want = models.load(llama).generate(PROMPTS, DECODING)
    real, sizes = Engine.draw, []

    def draw(self: Engine, units: Any, decoding: Decoding, adapted: bool) -> Any:
        sizes.append(len(units))
        if len(units) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(self, units, decoding, adapted)

    monkeypatch.setattr(Engine, "draw", draw)
    model = models.load(llama)
    assert model.generate(PROMPTS, DECODING) == want
    assert sizes[0] == 5 and sizes.count(1) == 5
    sizes.clear()
    assert model.generate(PROMPTS, DECODING) == want
    assert sizes == [1] * 5  # what did not fit is not tried again


def test_one_prompt_that_does_not_fit_alone(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Engine.draw

    def draw(self: Engine, units: Any, decoding: Decoding, adapted: bool) -> Any:
        if any("bread bread bread bread bread bread" in u.text for u in units):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9e12 bytes")
        return real(self, units, decoding, adapted)

    monkeypatch.setattr(Engine, "draw", draw)
    answers = models.load(llama).generate(PROMPTS, DECODING)
    assert [a[0].finish for a in answers].count("error") == 1
    assert "out of memory" in (answers[2][0].error or "")


def test_other_runtime_errors_are_not_taken_for_memory(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(*_: Any) -> Any:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(Engine, "draw", draw)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        models.load(llama).generate(PROMPTS, DECODING)


def test_prompts_longer_than_the_context(llama: Path) -> None:
    long = Prompt(chat(("user", "bread " * 500)))
    tight = Prompt(chat(("user", "a" * 120)))
    answers = models.load(llama).generate([long, PROMPTS[0], tight], Decoding(max_new_tokens=60))
    assert answers[0][0].finish == "error" and "the model takes 128" in (answers[0][0].error or "")
    assert answers[1][0].tokens == 60 or answers[1][0].finish == "stop"
    assert 0 < answers[2][0].tokens < 60


def test_a_template_that_fails_costs_only_its_prompt(llama: Path) -> None:
    broken = Prompt(PROMPTS[0].messages, template="{{ raise_exception('no') }}")
    answers = models.load(llama).generate([broken, PROMPTS[1]], DECODING)
    assert answers[0][0].finish == "error" and "template failed" in (answers[0][0].error or "")
    assert answers[1][0].finish != "error"


def test_the_system_turn_is_folded_where_the_template_has_none(llama: Path, copy_of: Copy) -> None:
    from holdfast.models.render import render

    strict = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
    )
    folder = copy_of(llama)
    save_tokenizer(folder, strict)
    tokenizer = models.load(folder).tokenizer  # type: ignore[attr-defined]
    text = render(tokenizer, Prompt(chat(("system", "be kind"), ("user", "hi"))))
    assert text == "<|user|>be kind\n\nhi<|end|><|assistant|>"


def test_rendering(llama: Path) -> None:
    from holdfast.models.render import render

    tokenizer = models.load(llama).tokenizer  # type: ignore[attr-defined]
    assert render(tokenizer, Prompt(chat(("user", "hi")), prefill="Sure")).endswith("<|assistant|>Sure")
    open_turn = render(tokenizer, Prompt(chat(("user", "hi"), ("assistant", "Su")), prefill="re"))
    assert open_turn == "<|user|>hi<|end|><|assistant|>Sure"
    finished = render(tokenizer, Prompt(chat(("user", "hi"), ("assistant", "Sure")), complete=True))
    assert finished == "<|user|>hi<|end|><|assistant|>Sure<|end|><|assistant|>"
    assert render(tokenizer, Prompt(chat(("user", "\ud800")))) == "<|user|>?<|end|><|assistant|>"


def test_settings_of_the_checkpoint_do_not_leak_into_answers(llama: Path, copy_of: Copy) -> None:
    folder = copy_of(llama)
    change_json(
        folder / "generation_config.json",
        repetition_penalty=5.0,
        do_sample=True,
        temperature=3.0,
        num_beams=2,
    )
    assert models.load(folder).generate(PROMPTS, DECODING) == models.load(llama).generate(PROMPTS, DECODING)


def test_the_end_token_of_the_template_ends_an_answer(llama: Path, copy_of: Copy) -> None:
    folder = copy_of(llama)
    change_json(folder / "generation_config.json", eos_token_id=2)
    change_json(folder / "config.json", eos_token_id=2)
    change_json(folder / "tokenizer_config.json", eos_token="<|system|>")
    engine = models.load(folder).engine  # type: ignore[attr-defined]
    assert engine.model.generation_config.eos_token_id == [1, 2]


def test_bad_options(llama: Path) -> None:
    with pytest.raises(InputError, match="unknown dtype"):
        models.load(llama, dtype="int3")
    with pytest.raises(InputError, match="cannot load the model"):
        models.load(llama, device="quantum").generate(PROMPTS[:1], DECODING)


def test_bf16_and_closing(llama: Path) -> None:
    model = models.load(llama, dtype="bf16")
    assert model.identity.backend.endswith("bfloat16")
    answers = model.generate(PROMPTS, DECODING)
    model.close()  # type: ignore[attr-defined]
    assert model.generate(PROMPTS, DECODING) == answers


def test_importing_models_and_suites_imports_no_heavy_library() -> None:
    code = (
        "import sys, holdfast.models, holdfast.suites; holdfast.suites.load('builtin:hazards');"
        "heavy = {'torch', 'transformers', 'peft', 'aiohttp', 'huggingface_hub', 'pyarrow', 'vllm'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
