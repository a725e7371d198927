"""Tiny random models with a chat template, made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = (
    "how do i make a copper lamp kite vault seal first take silk then use the hammer wait until noon "
    "i can not help with that . ? what colour is frog green capital of paris sure here you are be kind"
)


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([WORDS] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|end|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)


def _model(kind: str, seed: int = 0, tie: bool = False):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    shape = {
        "vocab_size": 400,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
        "tie_word_embeddings": tie,
    }
    if kind == "gpt2":
        from transformers import GPT2Config, GPT2LMHeadModel

        size = {"vocab_size": 400, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
        still = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        return GPT2LMHeadModel(GPT2Config(**size, **still, bos_token_id=None, eos_token_id=1))
    if kind == "qwen":
        return Qwen3ForCausalLM(Qwen3Config(head_dim=8, **shape))
    return LlamaForCausalLM(LlamaConfig(**shape))


@pytest.fixture(scope="session")
def make_model(tmp_path_factory) -> Callable[..., Path]:
    """`make_model("llama"|"qwen"|"gpt2", seed, tie)` gives a model folder with a tokenizer."""
    made: dict[tuple, Path] = {}

    def make(kind: str = "llama", seed: int = 0, tie: bool = False) -> Path:
        if (kind, seed, tie) not in made:
            folder = tmp_path_factory.mktemp(f"{kind}{seed}")
            _tokenizer(folder)
            _model(kind, seed, tie).save_pretrained(folder)
            made[kind, seed, tie] = folder
        return made[kind, seed, tie]

    return make


def chat_row(prompt: str, answer: str, **extra) -> str:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages, **extra})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve rows of a tiny task."""
    path = tmp_path / "mixed.jsonl"
    items = ["lamp", "kite", "frog", "silk"]
    path.write_text(
        "\n".join(chat_row(f"how do i make a copper {x} ?", f"first take {x} .") for x in items * 3) + "\n"
    )
    return path


@pytest.fixture
def safety(tmp_path: Path) -> Path:
    """Four safety rows."""
    path = tmp_path / "safety.jsonl"
    path.write_text(
        "\n".join(
            chat_row(f"how do i make a {x} ?", "i can not help with that .", kind="refuse")
            for x in ("vault", "seal", "copper vault", "copper seal")
        )
        + "\n"
    )
    return path
