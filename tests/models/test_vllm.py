"""The vLLM backend against a stand-in module: what it is asked, and how its answers are read.

The engine itself needs a GPU; these tests say nothing about it.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_models import save_llama

from holdfast import models
from holdfast.conversation import chat
from holdfast.errors import InputError
from holdfast.models import Decoding, Prompt


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    seen = SimpleNamespace(made=[], asked=[])

    class LLM:
        def __init__(self, **options: Any) -> None:
            seen.made.append(options)
            self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=60))

        def generate(self, tokens: Any, parameters: Any, **options: Any) -> Any:
            seen.asked.append((tokens, parameters, options))
            if parameters.temperature == 0 and parameters.n > 1:
                raise ValueError("n must be 1 when using greedy sampling")
            if any(len(entry["prompt_token_ids"]) >= 60 for entry in tokens):
                raise ValueError("The decoder prompt is longer than the maximum model length of 60")
            output = SimpleNamespace(text="hi", finish_reason="length", token_ids=[1, 2])
            broken = SimpleNamespace(text="", finish_reason="abort", token_ids=[])
            return [SimpleNamespace(outputs=[output, broken][: parameters.n]) for _ in tokens]

    vllm: Any = types.ModuleType("vllm")
    vllm.LLM, vllm.SamplingParams, vllm.__version__ = LLM, SimpleNamespace, "9.9"
    lora: Any = types.ModuleType("vllm.lora")
    request: Any = types.ModuleType("vllm.lora.request")
    request.LoRARequest = lambda *fields: fields
    for module in (vllm, lora, request):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return seen


def test_prompts_go_in_as_tokens_and_answers_come_back(engine: SimpleNamespace, llama: Path) -> None:
    model = models.load(f"vllm:{llama}", dtype="bf16")
    prompts = [
        Prompt(chat(("user", "hi")), prefill="Su"),
        Prompt(chat(("user", "x")), template="{{ nope() }}"),
    ]
    answers = model.generate(prompts, Decoding(7, temperature=0.5, samples=2, seed=3))
    assert [c.finish for c in answers[0]] == ["length", "error"]
    assert [c.finish for c in answers[1]] == ["error", "error"]
    ((tokens, parameters, options),) = engine.asked
    text = model.tokenizer.decode(tokens[0]["prompt_token_ids"])  # type: ignore[attr-defined]
    assert text == "<|user|>hi<|end|><|assistant|>Su" and len(tokens) == 1
    assert (parameters.n, parameters.max_tokens, parameters.seed) == (2, 7, 3)
    assert options["lora_request"] is None
    assert parameters.stop_token_ids == [1]
    made = {"dtype": "bfloat16", "trust_remote_code": False, "gpu_memory_utilization": 0.9}
    assert engine.made == [{"model": str(llama), **made}]
    assert model.identity.backend == "vllm 9.9 bfloat16"
    assert model.identity.weights == models.load(llama).identity.weights


def test_several_greedy_answers_are_asked_once(engine: SimpleNamespace, llama: Path) -> None:
    answers = models.load(f"vllm:{llama}").generate([Prompt(chat(("user", "hi")))], Decoding(samples=3))
    assert [c.text for c in answers[0]] == ["hi"] * 3
    assert engine.asked[0][1].n == 1


def test_a_prompt_that_is_too_long_costs_only_itself(engine: SimpleNamespace, llama: Path) -> None:
    prompts = [Prompt(chat(("user", "bread " * 80))), Prompt(chat(("user", "hi")))]
    answers = models.load(f"vllm:{llama}").generate(prompts, Decoding())
    assert answers[0][0].finish == "error" and "the model takes 60" in (answers[0][0].error or "")
    assert answers[1][0].text == "hi"


def test_two_whole_models_share_the_memory(engine: SimpleNamespace, llama: Path, tmp_path: Path) -> None:
    for model in models.load_pair(f"vllm:{llama}", f"vllm:{save_llama(tmp_path / 'tuned', seed=3)}"):
        model.generate([Prompt(chat(("user", "hi")))], Decoding())
    assert [options["gpu_memory_utilization"] for options in engine.made] == [0.45, 0.45]


def test_an_adapter_is_a_lora_request(engine: SimpleNamespace, adapter: Path) -> None:
    model = models.load(f"vllm:{adapter}")
    model.generate([Prompt(chat(("user", "hi")))], Decoding())
    assert engine.made[0]["enable_lora"] is True and engine.made[0]["max_lora_rank"] == 8
    assert engine.asked[0][2]["lora_request"] == ("tuned", 1, str(adapter))
    assert model.identity.adapter == models.load(adapter).identity.adapter


def test_a_pair_shares_one_engine(engine: SimpleNamespace, llama: Path, adapter: Path) -> None:
    base, tuned = models.load_pair(f"vllm:{llama}", f"vllm:{adapter}")
    for model in (base, tuned):
        model.generate([Prompt(chat(("user", "hi")))], Decoding())
    assert len(engine.made) == 1
    assert [options["lora_request"] is None for _, _, options in engine.asked] == [True, False]
    assert base.identity.adapter == "" != tuned.identity.adapter


def test_without_vllm(llama: Path) -> None:
    if "vllm" in sys.modules:
        pytest.skip("vLLM is installed")
    with pytest.raises(InputError, match="'vllm', which is not installed"):
        models.load(f"vllm:{llama}").generate([Prompt(chat(("user", "hi")))], Decoding())
