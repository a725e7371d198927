"""Training without padding: rows laid end to end, kept apart by position ids that start anew.

`padding_free` lays the rows of a micro-batch end to end; `packing` first fills sequences up to
`max_length` (best-fit decreasing: Ding et al., ICML 2024, "Fewer truncations improve language
modeling"), so that every micro-batch holds about the same number of tokens. No row is cut, and no
row sees another: transformers builds the block-diagonal mask from the position ids.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

from holdfast.errors import InputError
from holdfast.train.rows import IGNORE, TokenRow

_TOLERANCE = 0.02


def pack(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Row numbers of every sequence, each of at most `limit` tokens (a longer row stays alone).

    Best-fit decreasing: the longest rows first, each into the fullest sequence that still has
    room; O(n log n) but for the insertions into a sorted list.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # free tokens and number of a sequence, fullest first
    for index in order:
        place = bisect.bisect_left(room, (lengths[index], -1))
        if place < len(room):
            free, number = room.pop(place)
        else:
            free, number = max(limit, lengths[index]), len(bins)
            bins.append([])
        bins[number].append(index)
        bisect.insort(room, (free - lengths[index], number))
    return bins


def flatten(rows: Sequence[TokenRow]) -> dict[str, Any]:
    """Tensors `input_ids`, `labels`, `position_ids` of shape (1, all tokens); no attention mask.

    The first token of a row is never a label: it would be predicted from the row before it.
    """
    import torch

    ids = [token for row in rows for token in row.input_ids]
    labels = [label for row in rows for label in (IGNORE, *row.labels[1:])]
    positions = [place for row in rows for place in range(len(row.input_ids))]
    return {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([positions]),
    }


def check_kept_apart(model: Any, rows: Sequence[TokenRow]) -> None:
    """Compare two rows end to end with the same two alone.

    Raises:
        InputError: The model's attention (or recurrence) looks over the border between them.
    """
    import torch

    first, second = (TokenRow(row.input_ids[:64], row.labels[:64]) for row in (rows[0], rows[-1]))
    training = model.training
    model.eval()
    with torch.no_grad():
        together = _logits(model, flatten([first, second]))[0, len(first.input_ids) :]
        alone = _logits(model, flatten([second]))[0]
    model.train(training)
    gap = float((together - alone).abs().max())
    if gap > _TOLERANCE * max(1.0, float(alone.abs().max())):
        raise InputError(
            f"this model does not keep packed rows apart (logits differ by {gap:.2g})",
            fix="train without packing and padding_free",
        )


def _logits(model: Any, inputs: dict[str, Any]) -> Any:
    given = {k: v.to(model.device) for k, v in inputs.items() if k != "labels"}
    return model(**given, use_cache=False).logits.float()
