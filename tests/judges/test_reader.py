"""Texts to numbers by the batch: the same words, whatever the text and its neighbours."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.judges.embedded import reader as module
from holdfast.judges.embedded.fast import SCAN, covering, fast, features, first_words
from holdfast.judges.embedded.reader import BUCKETS, Reader, ranges
from holdfast.judges.embedded.text import pair_hashes, pieces, windows, words
from holdfast.judges.embedded.weights import vocabulary

IDS = vocabulary()
READER = Reader(IDS)
TEXTS = st.lists(
    st.one_of(st.text(), st.text("ab1 _.,\n\t\x0b\x1c'"), st.sampled_from(["", "a" * 200])), max_size=6
)


@given(TEXTS)
def test_the_words_are_those_of_the_slow_way(texts: list[str]) -> None:
    tokens = READER.read(texts)
    assert len(tokens.bounds) == len(texts) + 1
    for text, start, stop in zip(texts, tokens.bounds, tokens.bounds[1:], strict=False):
        expected = words(text)
        assert stop - start == len(expected)
        found, counts = READER.pieces(tokens.words[start:stop])
        parts = [pieces(word, IDS, IDS["[UNK]"]) for word in expected]
        assert found.tolist() == [piece for part in parts for piece in part]
        assert counts.tolist() == [len(part) for part in parts]
        if len(expected) > 1:
            hashes = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in expected]
            wanted = pair_hashes(np.array(hashes, np.uint32), BUCKETS)
            assert tokens.pairs[start : stop - 1].tolist() == wanted.tolist()


def test_groups_and_forgetting_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"the {i} cats, and word{i} {'x' * i}" for i in range(300)]
    whole = READER.pieces(READER.read(texts).words)[0]
    monkeypatch.setattr(module, "_GROUP", 64)
    monkeypatch.setattr(module, "_CACHE", 10)
    small = Reader(IDS)
    for _ in range(2):
        assert (small.pieces(small.read(texts).words)[0] == whole).all()


def test_two_words_in_one_slot_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key in the same slot of the table: words are still found by their bytes."""
    plain = module._keys
    monkeypatch.setattr(module, "_keys", lambda *given: plain(*given) >> np.uint64(20) | np.uint64(1))
    crowded = Reader(IDS)
    text = "one two three two one four"
    for _ in range(2):
        numbers = crowded.read([text, text]).words.tolist()
        assert numbers[:6] == numbers[6:] and len(set(numbers)) == 4


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=5))
def test_windows_cover_both_texts(sizes: list[tuple[int, int]]) -> None:
    prompts, answers = [" ".join(["q"] * a) for a, _ in sizes], [" ".join(["a"] * b) for _, b in sizes]
    tokens = READER.read([*prompts, *answers])
    found = covering(tokens, np.ones(len(sizes), np.float32))
    for number, (asked, said) in enumerate(zip(prompts, answers, strict=True)):
        mine = np.flatnonzero(found.owner == number)
        for text, span, first in ((asked, found.asked, number), (said, found.said, number + len(sizes))):
            lengths = [len(part) for part in windows(words(text), SCAN)]
            wanted = [lengths[min(i, len(lengths) - 1)] for i in range(len(mine))]
            assert (span[1] - span[0])[mine].tolist() == wanted
            assert (span[0][mine] >= tokens.bounds[first]).all() and (
                span[1][mine] <= tokens.bounds[first + 1]
            ).all()
        assert found.phrases[mine].tolist() == [1.0] + [0.0] * (len(mine) - 1)


def test_frequencies_sum_to_one_and_dropped_words_are_gone() -> None:
    tokens = READER.read(["a question about cooking rice", "", "an answer " * 50, "yes"])
    spans = first_words(tokens, np.zeros(2, np.float32))
    batch = features(READER, tokens, spans)
    assert np.allclose(batch.answer.words.sum(1), 1) and np.allclose(
        batch.prompt.words.sum(1).ravel(), [1, 0]
    )
    assert batch.prompt.seen.tolist() == [1, 0] and batch.opening.words[0].nnz <= batch.answer.words[0].nnz
    thin = features(READER, tokens, spans, 0.5, np.random.default_rng(0))
    assert thin.answer.words.nnz < batch.answer.words.nnz and thin.answer.words[1].nnz == 1


def test_ranges() -> None:
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_a_row_is_scored_alike_in_any_company() -> None:
    rows = [("How do I cook rice?", "Rinse it first. " * n) for n in (1, 2, 40, 90)]
    together = fast().scan([a for a, _ in rows], [b for _, b in rows])
    for number, (asked, said) in enumerate(rows):
        alone = fast().scan([asked], [said])
        assert np.allclose(alone.scores, together.scores[together.windows.owner == number], atol=1e-6)
    assert len(fast().scan([], []).scores) == 0
