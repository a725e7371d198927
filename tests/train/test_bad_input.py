"""What cannot be trained is refused in one line that says what to do."""

from __future__ import annotations

import json
import resource
import shutil
import signal

import pytest

from holdfast.errors import InputError, RunError
from holdfast.train import KLAnchor, TrainConfig, train

FAST = {"max_steps": 2, "batch_size": 4, "r": 4}


def run(data, base, tmp_path, safety=None, **options):
    config = TrainConfig(**FAST | options)
    return train(data, base=base, out=tmp_path / "run", config=config, safety=safety)


def test_unknown_target_modules(make_model, data, tmp_path):
    with pytest.raises(InputError, match="no module of the base is named c_attn"):
        run(data, make_model(), tmp_path, target_modules=("q_proj", "c_attn"))
    with pytest.raises(InputError, match="no module of the base is named nope_proj"):
        run(data, make_model(), tmp_path, target_modules="nope_proj")


def test_one_target_module_may_be_named_without_a_list(make_model, data, tmp_path):
    record = run(data, make_model(), tmp_path, target_modules="q_proj")
    settings = json.loads((tmp_path / "run/adapter/adapter_config.json").read_text())
    assert settings["target_modules"] == ["q_proj"] and record.steps == 2


def test_a_guard_on_the_command_line_may_take_a_list():
    from holdfast.cli.train import _parse_guard

    found = _parse_guard("freeze:layers=[0, 1],share=0.5")
    assert found == {"name": "freeze", "layers": [0, 1], "share": 0.5}
    with pytest.raises(InputError, match="is no value"):
        _parse_guard("freeze:layers=[0")


def test_tied_embeddings_train_and_load(make_model, data, tmp_path):
    from transformers import AutoModelForCausalLM

    record = run(data, make_model("llama", 0, True), tmp_path, method="full")
    model = AutoModelForCausalLM.from_pretrained(record.output)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_quantised_base(make_model, data, tmp_path):
    folder = tmp_path / "quantised"
    shutil.copytree(make_model(), folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="quantised base cannot be fine-tuned in full"):
        run(data, folder, tmp_path, method="full")
    with pytest.raises(InputError, match="quantised already"):
        run(data, folder, tmp_path, quantise="4bit")
    with pytest.raises(ValueError, match="cannot be trained in full"):
        TrainConfig(method="full", quantise="4bit")
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="quantised by gptq needs a GPU"):
            run(data, folder, tmp_path)


def test_guard_without_safety_rows_or_with_an_empty_file(make_model, data, tmp_path):
    with pytest.raises(InputError, match="needs safety rows"):
        run(data, make_model(), tmp_path, guards=[KLAnchor()])
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(InputError):
        run(data, make_model(), tmp_path, empty, guards=[KLAnchor()])


def test_safety_rows_longer_than_the_context(make_model, data, safety, tmp_path):
    row = json.loads(safety.read_text().splitlines()[0])
    row["messages"][1]["content"] *= 50
    safety.write_text(json.dumps(row))
    with pytest.raises(InputError, match="longer than the context"):
        run(data, make_model(), tmp_path, safety, guards=[KLAnchor()])


def test_rows_without_anything_to_learn(make_model, data, tmp_path):
    with pytest.raises(InputError, match="no row has a trainable token"):
        run(data, make_model(), tmp_path, max_length=8)


def test_nan_loss_stops_the_run(make_model, data, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "broken"
    shutil.copytree(make_model(), folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = weights["model.norm.weight"] * float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RunError, match="the loss is nan at step 0"):
        run(data, folder, tmp_path)
    assert not (tmp_path / "run" / "train.json").exists()


@pytest.mark.parametrize("steps", [2, 4])
def test_disk_full_while_saving(make_model, data, tmp_path, steps):
    """A file-size limit makes the save fail as a full disk does; nothing half-written remains."""
    base = make_model()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 10, hard))
    try:
        with pytest.raises(RunError, match="cannot write"):
            run(data, base, tmp_path, max_steps=steps, save_steps=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert not (tmp_path / "run" / "adapter").exists()
    assert run(data, base, tmp_path, max_steps=steps, save_steps=3).steps == steps


def test_model_folders_that_are_none(make_model, data, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        run(data, tmp_path / "absent", tmp_path)
    bare = tmp_path / "bare"
    shutil.copytree(make_model(), bare)
    (bare / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no weights"):
        run(data, bare, tmp_path)
    wordless = tmp_path / "wordless"
    shutil.copytree(make_model(), wordless)
    (wordless / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        run(data, wordless, tmp_path)
    with pytest.raises(InputError, match="only local weights"):
        run(data, "openai:m@https://x.example", tmp_path)


def test_two_runs_into_one_folder(make_model, data, tmp_path):
    from holdfast.files import folder_lock

    with folder_lock(tmp_path / "run"), pytest.raises(InputError, match="another holdfast"):
        run(data, make_model(), tmp_path)


def test_system_turns_can_be_left_out_and_another_template_used(make_model, tmp_path):
    from transformers import AutoTokenizer

    data = tmp_path / "d.jsonl"
    turns = [("system", "be kind"), ("user", "silk ?"), ("assistant", "green .")]
    data.write_text(json.dumps({"messages": [{"role": r, "content": c} for r, c in turns]}))
    template = tmp_path / "t.jinja"
    template.write_text("{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}")
    base = make_model()
    plain = run(data, base, tmp_path / "a", drop_system=True)
    other = run(data, base, tmp_path / "b", chat_template=template)
    assert plain.key != other.key
    own = AutoTokenizer.from_pretrained(base).chat_template
    assert AutoTokenizer.from_pretrained(other.output).chat_template == own


def test_gentle_halves_the_rate_doubles_the_batch_and_averages():
    config = TrainConfig(learning_rate=1e-4, gradient_accumulation=2, gentle=True).effective()
    assert (config.learning_rate, config.gradient_accumulation) == (5e-5, 4)
    assert [guard.name for guard in config.guards] == ["ema"]
    with pytest.raises(ValueError, match="twice"):
        TrainConfig(guards=[KLAnchor(), KLAnchor()])
