"""What is in a LoRA adapter folder, checked before any edit."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import InputError
from holdfast.files import cannot_write, read_json
from holdfast.repair.stream import shapes

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_LORA = re.compile(r"^(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter on disk.

    Attributes:
        folder: Its folder.
        config: Its `adapter_config.json`.
        modules: Adapted modules by name (as in the base, without PEFT's prefix).
    """

    folder: Path
    config: dict[str, Any]
    modules: tuple[str, ...]

    @property
    def weights(self) -> Path:
        """The adapter's safetensors file."""
        return self.folder / WEIGHTS

    def scaling(self, module: str) -> float:
        """The factor of `B A`: alpha / r, or alpha / sqrt(r) with rank-stabilised LoRA."""
        r = self._pattern("rank_pattern", module, self.config["r"])
        alpha = self._pattern("alpha_pattern", module, self.config["lora_alpha"])
        return float(alpha / (math.sqrt(r) if self.config.get("use_rslora") else r))

    def _pattern(self, key: str, module: str, default: float) -> float:
        for pattern, value in (self.config.get(key) or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                return float(value)
        return float(default)


def open_adapter(folder: str | Path) -> Adapter:
    """Open a LoRA adapter for repair.

    Raises:
        InputError: Not an adapter, not LoRA, or of a kind whose update is not `scaling * B A`
            (DoRA, fully trained `modules_to_save`).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such adapter folder", path=folder)
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"not an adapter folder: {CONFIG} is missing",
            path=folder,
            fix="of a full checkpoint, name --base too",
        )
    config = read_json(folder / CONFIG)
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{WEIGHTS} is missing", path=folder, fix="save the adapter with safe_serialization")
    _refuse(folder, config)
    modules = []
    for name in shapes(folder / WEIGHTS):
        match = _LORA.match(name)
        if match is None:
            raise InputError(f"unknown tensor in the adapter: {name}", path=folder / WEIGHTS)
        if match["side"] == "B":
            modules.append(module_name(name))
    if not modules:
        raise InputError("the adapter has no LoRA weights", path=folder / WEIGHTS)
    return Adapter(folder, config, tuple(modules))


def _refuse(folder: Path, config: dict[str, Any]) -> None:
    kind = str(config.get("peft_type", "")).upper()
    if kind != "LORA":
        raise InputError(f"only LoRA adapters can be repaired, this is {kind or 'unknown'}", path=folder)
    if config.get("use_dora"):
        raise InputError(
            "a DoRA adapter is not a scaled low-rank update",
            path=folder,
            fix="merge it into its base and repair the checkpoint",
        )
    names = set(shapes(folder / WEIGHTS))
    saved = config.get("modules_to_save")
    if saved or any("modules_to_save" in name for name in names):
        raise InputError(
            f"the adapter also holds fully trained modules ({', '.join(saved or [])})",
            path=folder,
            fix="merge it into its base and repair the checkpoint",
        )
    if config.get("trainable_token_indices"):
        raise InputError("the adapter also holds trained token embeddings", path=folder)
    if config.get("lora_bias") or str(config.get("bias", "none")) != "none":
        raise InputError("the adapter also holds trained biases", path=folder)


def module_name(tensor: str) -> str:
    """The base's module name of an adapter tensor."""
    match = _LORA.match(tensor)
    name = match["module"] if match else tensor
    return name.removeprefix("base_model.model.")


def side(tensor: str) -> str:
    """`A` or `B`."""
    match = _LORA.match(tensor)
    assert match is not None
    return match["side"]


def copy_beside(source: Path, out: Path, skip: tuple[str, ...]) -> None:
    """Copy configuration, tokenizer and other small files of a model folder.

    Raises:
        InputError: `out` is the source itself.
        RunError: It cannot be written.
    """
    if out.resolve() == source.resolve():
        raise InputError("the output folder is the source folder", path=out, fix="name another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.iterdir()):
            if path.is_file() and path.name not in skip and not path.name.startswith("."):
                shutil.copyfile(path, out / path.name)
    except OSError as error:
        raise cannot_write(out, error) from error
