from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from holdfast.conversation import chat
from holdfast.lab import base_model, build
from holdfast.lab.tokenizer import VOCABULARY, train_tokenizer

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return train_tokenizer(build._tokenizer_texts())


def test_the_shipped_tokenizer_is_the_recipes(tokenizer: object) -> None:
    assert len(tokenizer) == VOCABULARY  # type: ignore[arg-type]
    shipped = json.loads((base_model() / "tokenizer.json").read_text())
    assert json.loads(tokenizer.backend_tokenizer.to_str()) == shipped  # type: ignore[attr-defined]


def test_any_text_survives_the_tokenizer(tokenizer: object) -> None:
    text = "Grüße, 世界! def f(x): return x**2"
    assert tokenizer.decode(tokenizer.encode(text)).strip() == text  # type: ignore[attr-defined]


def test_encoding_equals_the_chat_template_and_marks_the_answer(tokenizer: object) -> None:
    turns = chat(("system", "Be short."), ("user", "What is 4 + 7?"), ("assistant", "11"))
    ((tokens, labels),) = build._encode(tokenizer, [turns])  # type: ignore[arg-type]
    text = tokenizer.apply_chat_template(  # type: ignore[attr-defined]
        [{"role": m.role, "content": m.content} for m in turns], tokenize=False
    )
    assert tokens == tokenizer.encode(text)  # type: ignore[attr-defined]
    assert tokenizer.decode([t for t in labels if t != -100]).strip() == "11<|end|>"  # type: ignore[attr-defined]


def test_the_rate_rises_holds_and_falls() -> None:
    rates = [build._rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and rates[4] == rates[39] == 1.0
    assert rates[69] == pytest.approx(0.5) and rates[-1] == pytest.approx(0.0)


def test_the_same_seed_gives_the_same_weights(tokenizer: object) -> None:
    phase = replace(build.HELPFUL, steps=3, batch=4)

    def weights(seed: int) -> object:
        model = build._new_model(tokenizer, seed)  # type: ignore[arg-type]
        build._train(model, tokenizer, phase, random.Random(seed), None)  # type: ignore[arg-type]
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    first = weights(1)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))
