"""Near duplicates as clusters: MinHash signatures, banded (Broder 1997; Leskovec et al., MMDS ch. 3).

Word 3-shingles, 32 hashes in 8 bands of 4: two texts of Jaccard similarity s share a band with
probability 1 - (1 - s^4)^8, which is 0.99 at s = 0.8 and 0.05 at s = 0.3. A candidate joins the
cluster only if its signature agrees with the first member's on at least 60 % of the hashes.

Only first members have a place in the index; the store keeps their signatures (128 bytes each), so
that a later import finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import missing_extra

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_HASHES, _BAND = 32, 4
_BANDS = _HASHES // _BAND
_AGREE = 0.6
_MAX_WORDS = 2000
_RECENT = 100_000  # entries of the dictionary before they move into the sorted arrays
_MIX = (np.arange(1, _BAND + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
_BAND_NUMBERS = np.arange(_BANDS, dtype=np.uint64)


class Clusters:
    """Assigns each text to the cluster of the first near duplicate seen, or to its own."""

    def __init__(self) -> None:
        try:
            from rensa import RMinHash
        except ImportError:
            raise missing_extra("server", "rensa") from None
        self._minhash = RMinHash
        self._signatures: NDArray[np.uint32] = np.empty((0, _HASHES), np.uint32)
        self._items: NDArray[np.int64] = np.empty(0, np.int64)
        self._count = 0
        # Band keys with the place of their owner: sorted ones, and those of the last additions.
        self._keys: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._places: NDArray[np.int64] = np.empty(0, np.int64)
        self._recent: dict[int, int] = {}
        self.last = 0

    def signature(self, text: str) -> bytes:
        """The MinHash signature of a text, 128 bytes."""
        words = _WORD.findall(text.lower())[:_MAX_WORDS]
        shingles = [" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))]
        minhash = self._minhash(num_perm=_HASHES, seed=1)
        minhash.update(shingles)
        return np.asarray(minhash.digest(), np.uint32).astype("<u4").tobytes()

    def extend(self, known: Iterable[tuple[int, bytes]]) -> None:
        """Take in first members that the store holds, with their signatures, by ascending item."""
        rows = list(known)
        if not rows:
            return
        signatures = np.frombuffer(b"".join(s for _, s in rows), "<u4").reshape(-1, _HASHES)
        first = self._count
        self._append(np.array([item for item, _ in rows], np.int64), signatures.astype(np.uint32))
        keys = _band_keys(signatures)
        places = np.repeat(np.arange(first, self._count), _BANDS)
        self._merge(keys.reshape(-1), places)

    def add(self, item: int, signature: bytes) -> int:
        """Return the cluster: the id of its first near duplicate, or `item`, which then joins the index."""
        row = np.frombuffer(signature, "<u4").reshape(1, _HASHES)
        keys = _band_keys(row)[0]
        for place in self._candidates(keys):
            if int((self._signatures[place] == row[0]).sum()) >= _AGREE * _HASHES:
                return int(self._items[place])
        self._append(np.array([item], np.int64), row)
        for key in keys.tolist():
            self._recent.setdefault(key, self._count - 1)
        if len(self._recent) > _RECENT:
            self._merge(
                np.fromiter(self._recent.keys(), np.uint64, len(self._recent)),
                np.fromiter(self._recent.values(), np.int64, len(self._recent)),
            )
            self._recent.clear()
        return item

    def _candidates(self, keys: NDArray[np.uint64]) -> list[int]:
        found = [self._recent[key] for key in keys.tolist() if key in self._recent]
        if len(self._keys):
            spots = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            found.extend(self._places[spots[self._keys[spots] == keys]].tolist())
        return sorted(set(found))

    def _append(self, items: NDArray[np.int64], signatures: Any) -> None:
        needed = self._count + len(items)
        if needed > len(self._items):
            room = max(needed, 2 * len(self._items), 1024)
            self._items = np.resize(self._items, room)
            grown = np.empty((room, _HASHES), np.uint32)
            grown[: self._count] = self._signatures[: self._count]
            self._signatures = grown
        self._items[self._count : needed] = items
        self._signatures[self._count : needed] = signatures
        self._count = needed
        self.last = int(items[-1])

    def _merge(self, keys: NDArray[np.uint64], places: NDArray[np.int64]) -> None:
        """Into the sorted arrays; of equal keys the earliest owner stays."""
        keys, places = np.concatenate([self._keys, keys]), np.concatenate([self._places, places])
        order = np.lexsort((places, keys))
        keys, places = keys[order], places[order]
        first = np.concatenate([[True], keys[1:] != keys[:-1]])
        self._keys, self._places = keys[first], places[first]


def _band_keys(signatures: Any) -> NDArray[np.uint64]:
    """(n, 8) numbers that are equal for equal bands; rare chance equals are told apart by signature."""
    bands = signatures.astype(np.uint64).reshape(-1, _BANDS, _BAND)
    mixed: NDArray[np.uint64] = (bands * _MIX).sum(2, dtype=np.uint64)
    mixed ^= mixed >> np.uint64(29)
    keys: NDArray[np.uint64] = mixed * np.uint64(0xBF58476D1CE4E5B9) + _BAND_NUMBERS
    return keys
