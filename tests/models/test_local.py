"""The transformers backend against plain transformers calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from holdfast import models
from holdfast.conversation import chat
from holdfast.models import Decoding, Prompt, Scorer, Streamer

PROMPTS = [Prompt(chat(("user", f"how do i bake {'bread ' * n}?"))) for n in (3, 0, 7, 1, 5)]
GREEDY = Decoding(max_new_tokens=10)
SAMPLED = Decoding(max_new_tokens=10, temperature=1.0, top_p=0.9, samples=3, seed=7)


def reference(folder: Path, prompt: Prompt, n: int) -> str:
    """Greedy decoding written out: one full forward pass per token."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    model = AutoModelForCausalLM.from_pretrained(str(folder)).eval()
    text = f"<|user|>{prompt.messages[0].content}<|end|><|assistant|>{prompt.prefill}"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    new: list[int] = []
    with torch.no_grad():
        for _ in range(n):
            token = int(model(torch.tensor([ids + new])).logits[0, -1].argmax())
            if token == tokenizer.eos_token_id:
                break
            new.append(token)
    return str(tokenizer.decode(new, skip_special_tokens=True))


def test_greedy_answers_equal_token_by_token_decoding(llama: Path) -> None:
    model = models.load(llama)
    assert isinstance(model, Scorer) and isinstance(model, Streamer)
    prompts = [*PROMPTS, Prompt(PROMPTS[0].messages, prefill="the quick")]
    answers = model.generate(prompts, GREEDY)
    assert [a[0].text for a in answers] == [reference(llama, p, 10) for p in prompts]


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED])
def test_answers_do_not_depend_on_batch_or_order(llama: Path, decoding: Decoding) -> None:
    whole = models.load(llama).generate(PROMPTS, decoding)
    split = models.load(llama, batch_size=2).generate(PROMPTS[::-1], decoding)[::-1]
    assert whole == split
    assert all(len(a) == decoding.samples for a in whole)


def test_samples_differ_and_follow_the_seed(llama: Path) -> None:
    model = models.load(llama)
    first, again = model.generate(PROMPTS[:1], SAMPLED), model.generate(PROMPTS[:1], SAMPLED)
    other = model.generate(PROMPTS[:1], Decoding(10, 1.0, 0.9, 3, seed=8))
    assert first == again != other
    assert len({c.text for c in first[0]}) > 1


def test_pair_shares_one_engine_and_equals_separate_loads(llama: Path, adapter: Path) -> None:
    base, tuned = models.load_pair(llama, adapter)
    assert base.engine is tuned.engine  # type: ignore[attr-defined]
    assert base.generate(PROMPTS, GREEDY) == models.load(llama).generate(PROMPTS, GREEDY)
    assert tuned.generate(PROMPTS, GREEDY) == models.load(adapter).generate(PROMPTS, GREEDY)
    assert base.generate(PROMPTS, GREEDY) != tuned.generate(PROMPTS, GREEDY)
    assert base.identity.weights == tuned.identity.weights
    assert base.identity.adapter == "" != tuned.identity.adapter


def test_scores_equal_a_full_forward_pass(llama: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = models.load(llama)
    assert isinstance(model, Scorer)
    answers = ["bread", "the lazy dog , the lazy dog", "", "fox ?", "0 1 2"]
    scores = model.score(PROMPTS, answers)
    plain = AutoModelForCausalLM.from_pretrained(str(llama)).eval()
    for prompt, answer, score in zip(PROMPTS, answers, scores, strict=True):
        head = f"<|user|>{prompt.messages[0].content}<|end|><|assistant|>"
        ids = model.tokenizer(head + answer, add_special_tokens=False)["input_ids"]  # type: ignore[attr-defined]
        n = len(score.tokens)
        assert "".join(score.tokens) == answer
        with torch.no_grad():
            logprobs = plain(torch.tensor([ids])).logits[0].log_softmax(-1)
        want = [float(logprobs[i - 1, ids[i]]) for i in range(len(ids) - n, len(ids))]
        np.testing.assert_allclose(score.logprobs, want, atol=1e-4)
    first = model.first_token(PROMPTS)
    np.testing.assert_allclose(np.exp(first).sum(1), 1, atol=1e-5)
    token = model.tokenizer("bread", add_special_tokens=False)["input_ids"][0]  # type: ignore[attr-defined]
    assert first[0, token] == pytest.approx(scores[0].logprobs[0], abs=1e-4)
