"""Sampling against the distribution it must follow."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.models.sampling import Sampler, uniforms

torch = pytest.importorskip("torch")

LOGITS = [2.0, 0.5, -1.0, 1.0, float("-inf")]


def draw(temperature: float, top_p: float, n: int = 20_000) -> np.ndarray:
    numbers = torch.from_numpy(uniforms("x", 0, 0, n))[:, None]
    sampler = Sampler(numbers, temperature, top_p, n)
    scores = sampler(torch.zeros(n, 1), torch.tensor([LOGITS]).expand(n, -1))
    assert torch.isfinite(scores).sum(dim=1).eq(1).all() and not sampler.broken.any()
    return np.bincount(scores.argmax(dim=1).numpy(), minlength=len(LOGITS)) / n


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_softmax(temperature: float) -> None:
    want = torch.softmax(torch.tensor(LOGITS) / temperature, 0).numpy()
    np.testing.assert_allclose(draw(temperature, 1.0), want, atol=0.012)


def test_top_p_keeps_the_smallest_set_and_renormalises() -> None:
    p = torch.softmax(torch.tensor(LOGITS), 0).numpy()
    kept = [0, 3]  # 0.62 + 0.23 reach 0.8; 0.62 alone does not
    want = np.zeros(len(LOGITS))
    want[kept] = p[kept] / p[kept].sum()
    np.testing.assert_allclose(draw(1.0, 0.8), want, atol=0.012)
    assert draw(1.0, 1e-9)[0] == 1.0


def test_every_answer_has_its_own_stream() -> None:
    assert (uniforms("a", 0, 0, 8) == uniforms("a", 0, 0, 8)).all()
    assert (uniforms("a", 0, 0, 8) == uniforms("a", 0, 0, 20)[:8]).all()
    streams = {uniforms(*key, 8).tobytes() for key in (("a", 0, 0), ("a", 0, 1), ("a", 1, 0), ("b", 0, 0))}
    assert len(streams) == 4


def test_rows_with_nan_or_infinity_are_remembered() -> None:
    scores = torch.tensor([[0.0, 1.0], [float("nan"), 1.0], [float("inf"), 0.0], [float("-inf"), 2.0]])
    for numbers in (None, torch.full((4, 1), 0.5)):
        sampler = Sampler(numbers, 1.0, 0.9, 4)
        sampler(torch.zeros(4, 1), scores)
        assert sampler.broken.tolist() == [False, True, True, False]
