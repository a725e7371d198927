"""What an audit of a given size can certify, said before anything is generated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from holdfast.audit.statistics import ALPHA, pass_probability, tango_upper

ENOUGH_POWER = 0.8


@dataclass(frozen=True, slots=True)
class Power:
    """What `n` prompts can show about one axis.

    Attributes:
        n: Prompts (independent pairs).
        margin: The declared margin, as a difference of shares.
        smallest_margin: The smallest margin that can pass at all: the bound without any flip.
        power: Chance to pass when the model did not change, at `flip_rate`.
        flip_rate: Assumed share of prompts that flip each way by chance.
        enough: Prompts that would give a power of 0.8 at this margin, None beyond 20 000.
    """

    n: int
    margin: float
    smallest_margin: float
    power: float
    flip_rate: float
    enough: int | None

    @property
    def certifiable(self) -> bool:
        """Whether a perfect result would pass."""
        return self.smallest_margin < self.margin


@lru_cache(maxsize=512)
def power(n: int, margin: float, flip_rate: float = 0.01, alpha: float = ALPHA) -> Power:
    """Power and smallest certifiable margin of `n` pairs."""
    chance = pass_probability(n, flip_rate, flip_rate, margin, alpha) if n else 0.0
    smallest = tango_upper(0, 0, n, alpha)
    return Power(n, margin, smallest, chance, flip_rate, _enough(margin, flip_rate, alpha))


@lru_cache(maxsize=512)
def _enough(margin: float, flip_rate: float, alpha: float) -> int | None:
    low, high = 1, 20_000
    if pass_probability(high, flip_rate, flip_rate, margin, alpha) < ENOUGH_POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        if pass_probability(middle, flip_rate, flip_rate, margin, alpha) >= ENOUGH_POWER:
            high = middle
        else:
            low = middle + 1
    return low
