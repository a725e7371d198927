"""Weights as they are shipped: safetensors, int8 rows with one scale each; no pickle, no download."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@cache
def read(name: str) -> dict[str, NDArray[np.generic]]:
    """All tensors of a shipped file, as stored; read once per process."""
    from safetensors.numpy import load

    data = (files("holdfast.judges.embedded") / "data" / f"{name}.safetensors").read_bytes()
    return load(data)


@cache
def digest(name: str) -> str:
    """SHA-256 of a shipped file, in hex: the judge's version."""
    import hashlib

    data = (files("holdfast.judges.embedded") / "data" / f"{name}.safetensors").read_bytes()
    return hashlib.sha256(data).hexdigest()


def tensor(stored: dict[str, NDArray[np.generic]], name: str) -> Array:
    """One tensor as float32: int8 rows times their scales, or the plain array."""
    values = stored[name].astype(np.float32)
    scale = stored.get(f"{name}.scale")
    return values if scale is None else values * scale.astype(np.float32)[:, None]


def quantised(values: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 rows and their scales; the largest value of each row becomes 127."""
    scale = np.abs(values).max(axis=1) / 127.0
    scale[scale == 0] = 1.0
    return np.round(values / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def vocabulary() -> dict[str, int]:
    """Word piece to number."""
    stored = read("vocabulary")["pieces"].tobytes().decode("utf-8")
    return {piece: number for number, piece in enumerate(stored.split("\n"))}
