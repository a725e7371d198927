"""Drawing tokens so that an answer depends on its prompt, its seed and its number alone.

`torch.multinomial` reads one random stream for the whole batch: an answer would change with its
neighbours and a resumed audit would not repeat a killed one. Here every answer has its own stream
of uniform numbers, and a token is the inverse of the cumulative distribution at the next of them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def uniforms(text: str, seed: int, sample: int, n: int) -> NDArray[np.float32]:
    """`n` uniform numbers in [0, 1) for one answer to one rendered prompt."""
    key = hashlib.sha256(f"{seed}\x00{sample}\x00".encode() + text.encode("utf-8", "replace")).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "big")))
    return generator.random(n, dtype=np.float32)


class Sampler:
    """A logits processor that leaves one finite logit per row, and remembers rows that broke.

    Args:
        uniforms: One row of uniform numbers per answer, (rows, new tokens); None for greedy.
        temperature: Divides the logits.
        top_p: Keep the smallest set of tokens with at least this probability.
        rows: Number of answers in the batch.
    """

    def __init__(self, uniforms: torch.Tensor | None, temperature: float, top_p: float, rows: int) -> None:
        import torch

        self._uniforms = uniforms
        self._temperature = temperature
        self._top_p = top_p
        self._step = 0
        self.broken = torch.zeros(rows, dtype=torch.bool)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        # The maximum is NaN if any logit is, and infinite if one overflowed or all are masked.
        bad = ~torch.isfinite(scores.amax(dim=-1))
        self.broken = self.broken.to(bad.device) | bad
        if self._uniforms is None:
            return scores
        draw = self._uniforms[:, self._step].to(scores.device)
        self._step += 1
        chosen = self._draw(torch.nan_to_num(scores.float(), nan=0.0) / self._temperature, draw)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)

    def _draw(self, scores: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
        import torch

        if self._top_p >= 1:
            mass = torch.softmax(scores, dim=-1).cumsum(dim=-1)
            place = torch.searchsorted(mass, draw[:, None] * mass[:, -1:], right=True)
            return place[:, 0].clamp(max=scores.shape[-1] - 1)
        ordered, index = torch.sort(scores, dim=-1, descending=True)
        share = torch.softmax(ordered, dim=-1)
        mass = share.cumsum(dim=-1)
        # A token stays while the mass before it is below top_p; at least the first one does.
        kept = (mass - share < self._top_p).sum(dim=-1, keepdim=True).clamp(min=1)
        total = mass.gather(1, kept - 1)
        place = torch.searchsorted(mass, draw[:, None] * total, right=True)
        return index.gather(1, torch.minimum(place, kept - 1))[:, 0]
