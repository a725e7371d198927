"""Batches: nothing lost, nothing twice, sizes that follow memory."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.models import batching

torch = pytest.importorskip("torch")


@given(st.lists(st.integers(0, 3)), st.integers(0, 5))
def test_batches_cut_without_loss_and_never_mix_groups(groups: list[int], rows: int) -> None:
    items = list(enumerate(sorted(groups)))
    cut = list(batching.batches(items, lambda item: item[1], lambda item: rows))
    assert [item for batch in cut for item in batch] == items
    assert all(len({group for _, group in batch}) == 1 and len(batch) <= max(1, rows) for batch in cut)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sets(st.integers(0, 39)))
def test_shrinking_answers_or_reports_every_item(n: int, fits: int, too_big: set[int]) -> None:
    def work(part: list[int]) -> list[int]:
        if len(part) > fits or too_big & set(part):
            raise torch.OutOfMemoryError("out of memory")
        return [-item for item in part]

    sizes: list[int] = []
    answered: list[int] = []
    failed: list[int] = []
    with mock.patch.object(batching, "release"):  # collecting garbage a thousand times takes minutes
        for part, result in batching.shrinking(list(range(n)), work, sizes.append):
            if isinstance(result, batching.OutOfMemoryError):
                failed += part
            else:
                assert result == [-item for item in part]
                answered += part
    assert sorted(answered + failed) == list(range(n))
    assert set(failed) == too_big & set(range(n))


def test_rows_follow_the_free_memory() -> None:
    config = SimpleNamespace(
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        hidden_size=4096,
        vocab_size=128_000,
    )
    config.get_text_config = lambda: config
    device = SimpleNamespace(type="cuda")
    model = SimpleNamespace(config=config, device=device, dtype=torch.bfloat16)
    rows = [batching.rows_that_fit(model, 512, free << 30) for free in (0, 1, 8, 40)]
    assert rows[0] == 1 and rows == sorted(rows) and rows[-1] > 60
    device.type = "cpu"
    assert batching.rows_that_fit(model, 16, 400 << 30) == batching.CPU_ROWS
    assert batching.free_memory(torch.device("cpu")) > 1 << 20
