"""Near duplicates as clusters: MinHash signatures, banded (Broder 1997; Leskovec et al., MMDS ch. 3).

Word 3-shingles, 32 hashes in 8 bands of 4: two texts of Jaccard similarity s share a band with
probability 1 - (1 - s^4)^8, which is 0.99 at s = 0.8 and 0.05 at s = 0.3. A candidate joins the
cluster only if its signature agrees with the first member's on at least 60 % of the hashes.
"""

from __future__ import annotations

import re

from holdfast.errors import missing_extra

_WORD = re.compile(r"\w+")
_HASHES, _BAND = 32, 4
_AGREE = 0.6
_MAX_WORDS = 2000


class Clusters:
    """Assigns each text to the cluster of the first near duplicate seen, or to its own."""

    def __init__(self) -> None:
        try:
            from rensa import RMinHash
        except ImportError:
            raise missing_extra("server", "rensa") from None
        self._minhash = RMinHash
        self._bands: dict[tuple[int, ...], int] = {}
        self._signatures: dict[int, tuple[int, ...]] = {}

    def add(self, item: int, text: str) -> int:
        """Return the cluster of `text`: the id of its first near duplicate, or `item`."""
        signature = self._signature(text)
        keys = [(start, *signature[start : start + _BAND]) for start in range(0, _HASHES, _BAND)]
        for key in keys:
            first = self._bands.get(key)
            if first is not None and self._similar(self._signatures[first], signature):
                return first
        self._signatures[item] = signature
        for key in keys:
            self._bands.setdefault(key, item)
        return item

    def _signature(self, text: str) -> tuple[int, ...]:
        words = _WORD.findall(text.lower())[:_MAX_WORDS]
        shingles = [" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))]
        minhash = self._minhash(num_perm=_HASHES, seed=1)
        minhash.update(shingles)
        return tuple(minhash.digest())

    @staticmethod
    def _similar(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
        return sum(a == b for a, b in zip(left, right, strict=True)) >= _AGREE * _HASHES
