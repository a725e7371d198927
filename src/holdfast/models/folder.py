"""Checkpoint folders: what is in one, and whether it can be used, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.errors import InputError
from holdfast.files import digest_file, digest_value, read_json
from holdfast.models.refs import Ref

_BESIDE_WEIGHTS = ("config.json", "tokenizer.json", "tokenizer.model")
ADAPTER_CONFIG = "adapter_config.json"


def resolve(ref: Ref) -> Path:
    """The local folder of a `local` or `hf` reference; hub models are fetched into the hub cache.

    Raises:
        InputError: There is no such folder, or the hub does not hand the model out.
    """
    if ref.kind == "hf":
        return _fetch(ref.target, ref.revision)
    folder = Path(ref.target).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(
            "this is a file, not a model folder", path=folder, fix="name the folder that holds config.json"
        )
    raise InputError(
        "no such folder", path=folder, fix=f"check the path; a hub model is written hf:{ref.target}"
    )


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except HFValidationError as error:
        raise InputError(f"'{name}' is not a hub name: {error}", fix="write hf:OWNER/NAME") from None
    except LocalEntryNotFoundError:
        raise InputError(
            f"hf:{name} is not on this machine and the hub cannot be reached",
            fix="go online, unset HF_HUB_OFFLINE, or name a local folder",
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"the hub does not hand out hf:{name}: {str(error).splitlines()[0]}",
            fix="check the name; for a gated model accept its terms and set HF_TOKEN",
        ) from None


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds a PEFT adapter."""
    return (folder / ADAPTER_CONFIG).is_file()


def check_model(folder: Path) -> None:
    """Check that `folder` is a causal language model that transformers can load.

    Raises:
        InputError: Files are missing, or the model needs code from its repository.
    """
    if not (folder / "config.json").is_file():
        inside = sorted(p.parent.name for p in folder.glob("*/config.json"))
        near = f"; did you mean {', '.join(inside[:3])} inside it?" if inside else ""
        raise InputError(
            f"no config.json, so this is not a model folder{near}",
            path=folder,
            fix="name the folder that save_pretrained wrote",
        )
    config = read_json(folder / "config.json")
    if "auto_map" in config and "AutoModelForCausalLM" in config["auto_map"]:
        raise InputError(
            "this model runs code from its own repository, which Holdfast never does",
            path=folder,
            fix="use a checkpoint that transformers supports itself, or serve it and name openai:MODEL@URL",
        )
    if not weight_files(folder):
        raise InputError(
            "no weights (*.safetensors) in this folder",
            path=folder,
            fix="fetch the weight files, or convert old .bin files (pickles, which are not opened here)",
        )
    _refuse_pointers(folder)


def check_adapter(folder: Path) -> dict[str, Any]:
    """Check an adapter folder and give its configuration.

    Raises:
        InputError: The weights are missing or the configuration is unreadable.
    """
    config = read_json(folder / ADAPTER_CONFIG)
    if not (folder / "adapter_model.safetensors").is_file():
        raise InputError("no adapter_model.safetensors in this adapter folder", path=folder)
    _refuse_pointers(folder)
    return dict(config)


def _refuse_pointers(folder: Path) -> None:
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as handle:
            if handle.read(20).startswith(b"version https://git"):
                raise InputError("a git-lfs pointer instead of weights", path=file, fix="run 'git lfs pull'")


def weight_files(folder: Path) -> list[Path]:
    """The weight files, in name order; adapters saved in the same folder do not count."""
    return sorted(p for p in folder.glob("*.safetensors") if not p.name.startswith("adapter_model"))


def digest_model(folder: Path) -> str:
    """Digest of the weights, the configuration and the tokenizer."""
    files = [*weight_files(folder), *(folder / name for name in _BESIDE_WEIGHTS)]
    return digest_value({p.name: digest_file(p) for p in files if p.is_file()})


def digest_adapter(folder: Path) -> str:
    """Digest of an adapter's weights and configuration."""
    files = [folder / "adapter_model.safetensors", folder / ADAPTER_CONFIG]
    return digest_value({p.name: digest_file(p) for p in files})
