"""The hooks for other frameworks, on stand-ins with the signatures those frameworks have."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from holdfast.errors import InputError
from holdfast.train.mixin import GuardMixin
from holdfast.train.rows import TokenRow, collate, read_rows, tokenise

GUARDS = [{"name": "kl_anchor", "weight": 2}, {"name": "ema"}]


class OwnTrainer(Trainer):
    """A framework's trainer with a loss of its own signature, as LLaMA-Factory's."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        return super().compute_loss(model, inputs, *args, **kwargs)


def arguments(base, data, out):
    from peft import LoraConfig, get_peft_model

    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = tokenise(read_rows(data), tokenizer, 128).rows
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=["q_proj"])
    )
    return {
        "model": model,
        "args": TrainingArguments(
            output_dir=str(out),
            max_steps=2,
            logging_steps=1,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            remove_unused_columns=False,
        ),
        "train_dataset": [{"input_ids": r.input_ids, "labels": r.labels} for r in rows],
        "data_collator": lambda b: collate([TokenRow(x["input_ids"], x["labels"]) for x in b], 0),
    }


def logged(trainer):
    return [point for point in trainer.state.log_history if "kl_anchor" in point]


def test_llamafactory_runs_its_own_trainer_with_guards(make_model, data, safety, tmp_path, monkeypatch):
    from holdfast.train.integrations.llamafactory import dataset_info, run_exp

    base = make_model()
    made = []
    workflow = types.ModuleType("llamafactory.train.sft.workflow")
    workflow.CustomSeq2SeqTrainer = OwnTrainer

    def run(args):
        trainer = workflow.CustomSeq2SeqTrainer(**arguments(base, data, tmp_path))
        trainer.train()
        made.append(trainer)

    tuner = types.ModuleType("llamafactory.train.tuner")
    tuner.run_exp = run
    sft = types.ModuleType("llamafactory.train.sft")
    sft.workflow = workflow
    for name, module in {
        "llamafactory": types.ModuleType("llamafactory"),
        "llamafactory.train": types.ModuleType("llamafactory.train"),
        "llamafactory.train.sft": sft,
        "llamafactory.train.tuner": tuner,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    run_exp({"stage": "sft", "model_name_or_path": str(base)}, guards=GUARDS, safety=safety)
    assert isinstance(made[0], OwnTrainer) and isinstance(made[0], GuardMixin)
    assert len(logged(made[0])) == 2
    assert workflow.CustomSeq2SeqTrainer is OwnTrainer
    with pytest.raises(InputError, match="stage sft"):
        run_exp({"stage": "dpo"})
    assert dataset_info("mine", Path("m.jsonl"))["mine"]["file_name"] == "m.jsonl"


def test_axolotl_plugin_guards_axolotls_trainer(make_model, data, safety, tmp_path, monkeypatch):
    from holdfast.train.integrations import axolotl

    base_plugin = types.ModuleType("axolotl.integrations.base")
    base_plugin.BasePlugin = type("BasePlugin", (), {})
    trainers = types.ModuleType("axolotl.core.trainers")
    trainers.AxolotlTrainer = OwnTrainer
    for name, module in {
        "axolotl": types.ModuleType("axolotl"),
        "axolotl.core": types.ModuleType("axolotl.core"),
        "axolotl.integrations": types.ModuleType("axolotl.integrations"),
        "axolotl.integrations.base": base_plugin,
        "axolotl.core.trainers": trainers,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    plugin = axolotl.HoldfastPlugin()
    assert isinstance(plugin, base_plugin.BasePlugin)
    base = make_model()
    settings = {"guards": GUARDS, "safety": safety}
    cfg = types.SimpleNamespace(base_model=str(base), holdfast=settings)
    trainer = plugin.get_trainer_cls(cfg)(**arguments(base, data, tmp_path))
    assert plugin.add_callbacks_post_trainer(cfg, trainer) == []
    trainer.train()
    assert len(logged(trainer)) == 2
    assert plugin.get_trainer_cls(types.SimpleNamespace(base_model=str(base))) is None


def test_without_the_framework_the_error_says_so():
    from holdfast.train.integrations import axolotl
    from holdfast.train.integrations.llamafactory import run_exp

    with pytest.raises(InputError, match="needs Axolotl"):
        axolotl.HoldfastPlugin  # noqa: B018
    with pytest.raises(InputError, match="needs LLaMA-Factory"):
        run_exp({"model_name_or_path": "x"})


def test_a_trainer_without_the_mixin_is_refused(make_model, data, safety, tmp_path):
    from holdfast.train.integrations import guard_trainer

    base = make_model()
    with pytest.raises(InputError, match="cannot be guarded"):
        guard_trainer(Trainer(**arguments(base, data, tmp_path)), GUARDS, base=base, safety=safety)


def test_safety_rows_longer_than_the_context_are_left_out(make_model, data, safety, tmp_path):
    from holdfast.train.integrations import guard_trainer
    from holdfast.train.mixin import guarded

    long = {"messages": [{"role": "user", "content": "how"}, {"role": "assistant", "content": "no " * 400}]}
    with safety.open("a") as handle:
        handle.write(json.dumps(long) + "\n")
    base = make_model()
    trainer = guarded(OwnTrainer)(**arguments(base, data, tmp_path))
    guard_trainer(trainer, GUARDS[:1], base=base, safety=safety)
    trainer.train()
    assert len(trainer.guards[0]._table.rows) == 4
