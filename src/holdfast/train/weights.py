"""Single tensors out of a checkpoint folder, sharded or not, without loading the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InputError
from holdfast.files import read_json

if TYPE_CHECKING:
    import torch

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class WeightReader:
    """Reads a checkpoint's tensors by name.

    Raises:
        InputError: The folder has no safetensors weights.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = _files(folder)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tensors."""
        return tuple(self._files)

    @property
    def shards(self) -> tuple[Path, ...]:
        """The weight files, in name order."""
        return tuple(sorted(set(self._files.values())))

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def get(self, name: str) -> torch.Tensor:
        """One tensor, on the CPU.

        Raises:
            InputError: There is none of this name.
        """
        from safetensors import safe_open

        if name not in self._files:
            raise InputError(f"the checkpoint has no tensor '{name}'", path=self.folder)
        with safe_open(self._files[name], framework="pt") as handle:
            tensor: torch.Tensor = handle.get_tensor(name)
        return tensor


def _files(folder: Path) -> dict[str, Path]:
    from safetensors import SafetensorError, safe_open

    if (folder / INDEX).is_file():
        shards = read_json(folder / INDEX)["weight_map"]
        missing = sorted({shard for shard in shards.values() if not (folder / shard).is_file()})
        if missing:
            raise InputError(f"a part of the weights is missing: {missing[0]}", path=folder)
        return {name: folder / shard for name, shard in shards.items()}
    path = folder / SINGLE
    if not path.is_file():
        raise InputError(
            "no safetensors weights in this folder", path=folder, fix="save with safe_serialization=True"
        )
    try:
        with safe_open(path, framework="pt") as handle:
            return dict.fromkeys(handle.keys(), path)
    except SafetensorError as error:
        raise InputError(f"not a sound safetensors file: {error}", path=path) from None
