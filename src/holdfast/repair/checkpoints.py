"""Full checkpoints: which tensors an edit may touch, and rewriting them shard by shard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InputError
from holdfast.files import digest_value, read_json
from holdfast.models.folder import check_model, digest_model, is_adapter
from holdfast.repair.adapters import copy_beside
from holdfast.repair.record import FILE
from holdfast.repair.stream import Change, rewrite, shapes
from holdfast.train.guards.freeze import layer_of
from holdfast.train.weights import WeightReader

if TYPE_CHECKING:
    import torch


def open_checkpoint(folder: str | Path) -> WeightReader:
    """Open a full checkpoint for repair.

    Raises:
        InputError: Not a model folder, or quantised weights, which cannot be edited.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such model folder", path=folder)
    if is_adapter(folder):
        raise InputError("this is an adapter, a full checkpoint is needed here", path=folder)
    check_model(folder)
    if read_json(folder / "config.json").get("quantization_config"):
        raise InputError(
            "quantised weights cannot be edited", path=folder, fix="use the checkpoint before quantisation"
        )
    return WeightReader(folder)


def check_match(one: WeightReader, other: WeightReader) -> None:
    """Refuse two checkpoints that are not of one model.

    Raises:
        InputError: A tensor is missing in one, or has another shape (another vocabulary, say).
    """
    missing = sorted(set(one.names) ^ set(other.names))
    if missing:
        where = other if missing[0] in one else one
        raise InputError(
            f"the checkpoints do not match: no '{missing[0]}' here", path=where.folder, fix="check the base"
        )
    left, right = (
        {name: shape for shard in reader.shards for name, shape in shapes(shard).items()}
        for reader in (one, other)
    )
    for name, shape in left.items():
        if right[name] != shape:
            rows = "embed" in name or "lm_head" in name
            reason = "their vocabularies differ" if rows else "their shapes differ"
            raise InputError(
                f"the checkpoints do not match: {reason} ({name}: {shape} and {right[name]})",
                path=other.folder,
                fix="give the base that was fine-tuned",
            )


def is_linear(name: str, tensor: torch.Tensor) -> bool:
    """Whether a tensor is the matrix of a linear layer inside the transformer's blocks."""
    return tensor.ndim == 2 and tensor.is_floating_point() and layer_of(name) is not None


def check_layers(reader: WeightReader) -> None:
    """Refuse a checkpoint none of whose matrices is known as a layer's: nothing would be treated.

    Raises:
        InputError: The tensors' names tell no transformer layer.
    """
    known = (item for shard in reader.shards for item in shapes(shard).items())
    if not any(len(shape) == 2 and layer_of(name) is not None for name, shape in known):
        raise InputError(
            f"no tensor would be treated: names like '{reader.names[0]}' tell no transformer layer",
            path=reader.folder,
            fix="layers must be called layers.N, h.N, block.N or blocks.N",
        )


def is_turned(reader: WeightReader) -> bool:
    """Whether the layers hold their weights as (in, out): `Conv1D`, as GPT-2 has them."""
    return read_json(reader.folder / "config.json").get("model_type") in ("gpt2", "openai-gpt")


def rewrite_checkpoint(source: WeightReader, out: Path, change: Change) -> dict[str, int]:
    """Write the checkpoint to `out` with every tensor passed through `change`.

    Returns:
        Tensors changed and kept.
    """
    names = {shard.name for shard in source.shards}
    copy_beside(source.folder, out, skip=(*names, FILE))
    changed = sum(rewrite(shard, out / shard.name, change) for shard in source.shards)
    return {"changed": changed, "kept": len(source.names) - changed}


def digest(folder: Path) -> str:
    """Digest of a checkpoint or adapter folder's weights."""
    from holdfast.models.folder import digest_adapter

    return digest_adapter(folder) if is_adapter(folder) else digest_model(folder)


def seeded(seed: int, name: str) -> int:
    """A seed of its own for every tensor, so that order and sharding do not matter."""
    return int(digest_value([seed, name])[:15], 16)
