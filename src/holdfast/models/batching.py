"""Cutting work into batches that fit, and smaller ones when they do not."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
MAX_ROWS = 256
CPU_ROWS = 32
_SHARE_OF_FREE_MEMORY = 0.6


class OutOfMemoryError(Exception):
    """One single unit does not fit."""


def batches(items: Sequence[T], group: Callable[[T], Any], rows: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut `items` (longest first) into runs of equal `group`, each as long as its first item allows."""
    for _, run in itertools.groupby(items, key=group):
        left = list(run)
        while left:
            size = max(1, rows(left[0]))
            yield left[:size]
            left = left[size:]


def shrinking(
    batch: list[T], work: Callable[[list[T]], Any], shrunk: Callable[[int], None]
) -> Iterator[tuple[list[T], Any]]:
    """Run `work` on `batch`, in halves when memory runs out; `shrunk` hears the size that remains.

    Yields `(part, result)`; for one item that does not fit alone the result is an
    `OutOfMemoryError`, not raised.
    """
    pending = [batch]
    while pending:
        part = pending.pop(0)
        result: Any
        try:
            result = work(part)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            result = OutOfMemoryError((str(error).splitlines() or [""])[0])
        if isinstance(result, OutOfMemoryError):
            release()
            if len(part) > 1:
                half = len(part) // 2
                pending[:0] = [part[:half], part[half:]]
                shrunk(half)
                continue
        yield part, result


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out (CUDA, MPS, or the CPU allocator)."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return "out of memory" in text or "can't allocate memory" in text or "Invalid buffer size" in text


def release() -> None:
    """Give freed memory back before the next try."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def rows_that_fit(model: Any, tokens: int, free: int) -> int:
    """How many sequences of `tokens` tokens should fit into `free` bytes; a guess, backed off from."""
    per_row = tokens * _cache_bytes_per_token(model) + _logit_bytes(model)
    rows = int(_SHARE_OF_FREE_MEMORY * free / max(per_row, 1))
    return max(1, min(rows, MAX_ROWS if model.device.type != "cpu" else CPU_ROWS))


def free_memory(device: torch.device) -> int:
    """Bytes free for batches on `device`, right after the weights were loaded."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4 << 30


def _cache_bytes_per_token(model: Any) -> int:
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", 1)
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    # Keys and values, and as much again for the activations of the prompt's pass.
    return 4 * int(config.num_hidden_layers) * int(kept) * int(width) * int(model.dtype.itemsize)


def _logit_bytes(model: Any) -> int:
    # Float32 logits of the last position, with a sorted copy and its index when sampling.
    return 16 * int(model.config.get_text_config().vocab_size)
