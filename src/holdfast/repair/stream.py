"""Tensors one at a time: read, change and write safetensors with the memory of one tensor.

The safetensors format is an 8-byte little-endian header length, a JSON header with dtype, shape
and byte range of every tensor, then the bytes. Writing it by hand lets a checkpoint of any size
pass through without being held; the reader is the safetensors library's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import InputError, RunError
from holdfast.files import atomic_writer

if TYPE_CHECKING:
    import torch

Change = Callable[[str, "torch.Tensor"], "torch.Tensor"]
"""Called with a tensor's name and value; gives the new value (same shape and dtype, or itself)."""


def header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file.

    Raises:
        InputError: It is not such a file, or shorter than its header says.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if not 0 < length <= size:
                raise ValueError("no header")
            found: dict[str, Any] = json.loads(handle.read(length))
        end = max((v["data_offsets"][1] for k, v in found.items() if k != "__metadata__"), default=0)
        if 8 + length + end != size:
            raise ValueError("the file is cut short or has bytes too many")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a sound safetensors file: {error}", path=path) from None
    return found


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a file's tensors, from its header alone."""
    return {k: tuple(v["shape"]) for k, v in header(path).items() if k != "__metadata__"}


def tensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a file, one at a time, in the order of their bytes.

    They are read, not memory-mapped: mapped pages would count as this process's memory until
    the whole file is closed.
    """
    import torch

    order = {name: entry for name, entry in header(path).items() if name != "__metadata__"}
    with path.open("rb") as handle:
        start = 8 + int.from_bytes(handle.read(8), "little")
        for name in sorted(order, key=lambda name: order[name]["data_offsets"][0]):
            entry = order[name]
            dtype = _dtypes().get(entry["dtype"])
            if dtype is None:
                raise InputError(f"{name} has the unknown type {entry['dtype']}", path=path)
            begin, end = entry["data_offsets"]
            handle.seek(start + begin)
            data = bytearray(handle.read(end - begin))
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            yield name, flat.reshape(entry["shape"])


def _dtypes() -> dict[str, torch.dtype]:
    import torch

    return {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "F8_E4M3": torch.float8_e4m3fn,
        "F8_E5M2": torch.float8_e5m2,
        "I64": torch.int64,
        "I32": torch.int32,
        "I16": torch.int16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }


def rewrite(source: Path, target: Path, change: Change) -> int:
    """Write `source` to `target` with every tensor passed through `change`; atomic.

    Returns:
        The number of tensors whose value was replaced (`change` gave another object).

    Raises:
        RunError: A changed tensor has another shape or holds NaN or infinity.
    """
    head = header(source)
    # Copying the header byte for byte keeps names, dtypes, offsets and metadata as they were.
    with source.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        raw = handle.read(length)
    changed = 0
    with atomic_writer(target) as handle:
        handle.write(length.to_bytes(8, "little") + raw)
        for name, old in tensors(source):
            new = change(name, old)
            if new is not old:
                changed += 1
                new = _fit(name, old, new, source)
            handle.write(_raw(new, head[name], source))
    return changed


def _fit(name: str, old: torch.Tensor, new: torch.Tensor, source: Path) -> torch.Tensor:
    import torch

    if new.shape != old.shape:
        raise RunError(f"the repair changed the shape of {name}", path=source)
    new = new.detach().to(device="cpu", dtype=old.dtype)
    if not torch.isfinite(new).all():
        raise RunError(f"the repair gave a value that is not finite in {name}", path=source)
    return new


def _raw(tensor: torch.Tensor, entry: dict[str, Any], source: Path) -> memoryview:
    import torch

    data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    start, stop = entry["data_offsets"]
    if data.nbytes != stop - start:
        raise RunError("tensor size differs from the header", path=source)
    return data.data
