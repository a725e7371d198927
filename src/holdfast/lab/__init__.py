"""The lab: a small offline model with exact knowledge of what is harmful, its attacks and its benchmark.

Nothing in it is harmful: "restricted" pieces are fictional stand-ins. Nothing outside `lab`
knows it; its model, judge and suites go through the same interfaces as a user's own.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["base_model", "unaligned_model"]


def base_model() -> Path:
    """Folder of the frozen, acceptance-tested aligned checkpoint (Llama architecture, 0.95 M parameters)."""
    return _checkpoint("base")


def unaligned_model() -> Path:
    """Folder of the checkpoint before its alignment: it answers restricted requests too."""
    return _checkpoint("unaligned")


def _checkpoint(name: str) -> Path:
    return Path(__file__).parent / "checkpoints" / name
