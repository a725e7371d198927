"""Reference values on disk: computed once, bound to the base and the data, read back on resume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.files import atomic_writer

if TYPE_CHECKING:
    import torch


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], key: str) -> None:
    """Write tensors atomically as safetensors, with the key they belong to."""
    from safetensors.torch import save

    with atomic_writer(path) as handle:
        handle.write(save(tensors, metadata={"key": key}))


def load_tensors(path: Path, key: str) -> dict[str, torch.Tensor] | None:
    """Read tensors back (memory-mapped), or None when absent or made for another key."""
    from safetensors import safe_open

    if not path.exists():
        return None
    with safe_open(path, framework="pt") as handle:
        if (handle.metadata() or {}).get("key") != key:
            return None
        return {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118


def checkpoint_folder(args: Any, state: Any) -> Path:
    """The trainer's checkpoint folder of the current step."""
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"
