"""Clusters: the sorted index, the recent one, and what came from the store give the same answer."""

from __future__ import annotations

import random

import pytest

from holdfast.review import cluster
from holdfast.review.cluster import Clusters


def texts(count: int) -> list[str]:
    """Every third text is an earlier one with a word more."""
    rng = random.Random(3)
    words = [f"w{n}" for n in range(300)]
    made: list[str] = []
    for number in range(count):
        if number % 3 == 2:
            made.append(rng.choice(made) + " more")
        else:
            made.append(" ".join(rng.choices(words, k=40)))
    return made


def test_one_index_or_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Clusters()
    signatures = [plain.signature(text) for text in texts(600)]
    expected = [plain.add(number, s) for number, s in enumerate(signatures, 1)]
    assert sum(found < number for number, found in enumerate(expected, 1)) == 200
    monkeypatch.setattr(cluster, "_RECENT", 50)  # merged into the sorted arrays many times
    merged = Clusters()
    assert [merged.add(number, s) for number, s in enumerate(signatures, 1)] == expected
    restored = Clusters()
    firsts = [(n, s) for n, s in enumerate(signatures[:400], 1) if expected[n - 1] == n]
    restored.extend(firsts[:100])
    restored.extend(firsts[100:])
    assert restored.last == firsts[-1][0]
    assert [restored.add(n, s) for n, s in enumerate(signatures[400:], 401)] == expected[400:]


def test_short_and_empty_texts() -> None:
    index = Clusters()
    found = [index.add(n, index.signature(t)) for n, t in enumerate(("", "a", "", "a", "b"), 1)]
    assert found == [1, 2, 1, 2, 5]
