"""Tiny checkpoints with a tokenizer, and adapters of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def save_tokenizer(folder: Path) -> None:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(["how do i make a vault i can not help take silk green frog"] * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|end|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)


def save_model(folder: Path, seed: int, vocabulary: int = 300, shard: str = "5GB") -> Path:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder, max_shard_size=shard)
    save_tokenizer(folder)
    return folder


class Weights:
    """What transformers and PEFT load from a folder."""

    @staticmethod
    def state(folder: Path) -> dict[str, torch.Tensor]:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()

    @staticmethod
    def merged(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
        return model.merge_and_unload().state_dict()

    save_model = staticmethod(lambda *args, **kwargs: save_model(*args, **kwargs))


@pytest.fixture(scope="session")
def weights() -> type[Weights]:
    return Weights


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("base"), 0)


@pytest.fixture(scope="session")
def unaligned(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("unaligned"), 1)


@pytest.fixture(scope="session")
def tuned(tmp_path_factory) -> Path:
    """A full checkpoint in several shards."""
    return save_model(tmp_path_factory.mktemp("tuned"), 2, shard="20KB")


@pytest.fixture
def make_adapter(base, tmp_path):
    def make(name: str = "adapter", seed: int = 1, **options) -> Path:
        torch.manual_seed(seed)
        config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | options)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        for parameter_name, parameter in model.named_parameters():
            if "lora_B" in parameter_name or "modules_to_save" in parameter_name:
                torch.nn.init.normal_(parameter, std=0.1)
        model.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def safety(tmp_path) -> Path:
    path = tmp_path / "safety.jsonl"
    rows = [("how do i make a vault", "i can not help", "refuse"), ("take silk", "green frog", "lookalike")]
    path.write_text(
        "\n".join(
            json.dumps(
                {
                    "messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}],
                    "kind": kind,
                }
            )
            for q, a, kind in rows * 4
        )
    )
    return path
