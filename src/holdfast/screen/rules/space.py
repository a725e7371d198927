"""A cheap embedding of texts (hashed words, random projection) and the islands in it."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W\d_]{2,}")
_BUCKETS = 1 << 14
_WIDTH = 96


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of texts, shape (n, 96).

    Words are hashed into 16,384 buckets, weighted by log(1 + count) times the inverse document
    frequency, and projected with a fixed random sign matrix (Achlioptas 2003).
    """
    bags = [Counter(map(_bucket, _WORD.findall(t.lower()[:2000]))) for t in texts]
    seen = Counter(bucket for bag in bags for bucket in bag)
    weight = np.zeros(_BUCKETS, dtype=np.float32)
    for bucket, count in seen.items():
        weight[bucket] = np.log(len(texts) / count) if count > 1 else 0.0
    signs = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), size=(_BUCKETS, _WIDTH))
    vectors = np.zeros((len(texts), _WIDTH), dtype=np.float32)
    for index, bag in enumerate(bags):
        if bag:
            buckets = np.fromiter(bag.keys(), dtype=np.int64)
            values = np.log1p(np.fromiter(bag.values(), dtype=np.float32)) * weight[buckets]
            vectors[index] = values @ signs[buckets]
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), dtype=np.float32)


@lru_cache(maxsize=200_000)
def _bucket(word: str) -> int:
    return zlib.crc32(word.encode()) % _BUCKETS


def islands(
    vectors: NDArray[np.float32], largest: float, *, alike: float = 0.55, apart: float = 0.12, least: int = 5
) -> Iterator[tuple[NDArray[np.int64], float, float]]:
    """Small groups of vectors that are close to each other and far from all others.

    Spherical k-means (k-means++ start, fixed seed) with k = n / 20, at most 100; a cluster of at most
    `largest` of all vectors is an island if its members' mean similarity to its centre is at
    least `alike` and its centre's similarity to the nearest other centre at most `apart` more
    than to the mean of all.

    Yields:
        Members, similarity inside, similarity to the nearest other centre.
    """
    count = len(vectors)
    clusters = max(2, min(100, count // 20))
    centres = _spread(vectors, clusters)
    nearest = np.zeros(count, dtype=np.int64)
    for _ in range(12):
        nearest = (vectors @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-9), centres)
    between = centres @ centres.T
    np.fill_diagonal(between, -1)
    for cluster in range(clusters):
        members = np.flatnonzero(nearest == cluster)
        if least <= len(members) <= max(least, largest * count):
            inside = float((vectors[members] @ centres[cluster]).mean())
            outside = float(between[cluster].max())
            if inside >= alike and outside <= alike - 0.3 + apart:
                yield members, inside, outside


def _spread(vectors: NDArray[np.float32], clusters: int) -> NDArray[np.float32]:
    """Start centres, each drawn with a chance that grows with its distance from those before."""
    random = np.random.default_rng(0)
    chosen = [int(random.integers(len(vectors)))]
    far = 1 - vectors @ vectors[chosen[0]]
    for _ in range(clusters - 1):
        weight = np.maximum(far, 0) ** 2 + 1e-9
        chosen.append(int(random.choice(len(vectors), p=weight / weight.sum())))
        far = np.minimum(far, 1 - vectors @ vectors[chosen[-1]])
    return vectors[chosen]
