"""Opening models by reference, alone or as a pair that is to be compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import InputError, missing_extra
from holdfast.files import read_json
from holdfast.models.base import Generator
from holdfast.models.refs import Ref, parse_ref

if TYPE_CHECKING:
    from holdfast.models.engine import Engine


def load(
    ref: str | Path,
    *,
    base: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    batch_size: int | None = None,
    cache: Path | None = None,
) -> Generator:
    """Open the model that `ref` names.

    Args:
        ref: A model or adapter folder, `hf:NAME[@REVISION]`, `openai:MODEL@URL[#OPTIONS]`,
            `vllm:PATH` or `recorded:FILE`.
        base: For an adapter: its base, if not the one its configuration names.
        device: `cpu`, `cuda`, `mps`, `auto`; None takes an accelerator where there is one.
        dtype: `fp32`, `fp16`, `bf16`; None is fp32 on a CPU, the checkpoint's own elsewhere.
        batch_size: Sequences at once; None fits it to the free memory.
        cache: Folder of a generation cache; None for none.

    Raises:
        InputError: The reference is malformed, or what it names cannot be used.
    """
    parsed = parse_ref(ref)
    options: dict[str, Any] = {"device": device, "dtype": dtype, "batch_size": batch_size}
    return _cached(_open(parsed, base, options), cache)


def load_pair(
    base: str | Path,
    tuned: str | Path,
    *,
    device: str | None = None,
    dtype: str | None = None,
    batch_size: int | None = None,
    cache: Path | None = None,
) -> tuple[Generator, Generator]:
    """Open base and tuned; an adapter of that base shares one copy of its weights.

    Both arms of a shared pair use the base's tokenizer and chat template.

    Raises:
        InputError: As `load`; also when the adapter belongs to another base.
    """
    options: dict[str, Any] = {"device": device, "dtype": dtype, "batch_size": batch_size}
    first, second = parse_ref(base), parse_ref(tuned)
    shared = _shared(first, second, options)
    if shared is None:
        return load(base, **options, cache=cache), load(tuned, **options, cache=cache)
    return _cached(shared[0], cache), _cached(shared[1], cache)


def _shared(first: Ref, second: Ref, options: dict[str, Any]) -> tuple[Generator, Generator] | None:
    """Both arms over one copy of the weights, if the second is an adapter for the first."""
    if {first.kind, second.kind} == {"vllm"}:
        return _shared_vllm(first, second, options["dtype"])
    if not {first.kind, second.kind} <= {"local", "hf"}:
        return None
    require_torch()
    from holdfast.models.engine import Engine
    from holdfast.models.folder import is_adapter, resolve
    from holdfast.models.local import LocalModel

    folder, adapter = resolve(first), resolve(second)
    if is_adapter(folder) or not is_adapter(adapter):
        return None
    check_base(adapter, folder, first.text)
    engine = Engine(folder, adapter, **options)
    alone = engine if switches_off(adapter) else Engine(folder, **options)
    return LocalModel(alone, first.text, adapted=False), LocalModel(engine, second.text)


def _shared_vllm(first: Ref, second: Ref, dtype: str | None) -> tuple[Generator, Generator]:
    """One engine for a base and its adapter; else two, which share the GPU's memory."""
    from holdfast.models.folder import is_adapter
    from holdfast.models.vllm import HALF, VllmEngine, VllmModel, find, open_vllm

    folder, adapter = find(first), find(second)
    if is_adapter(folder) or not is_adapter(adapter):
        return open_vllm(first, None, dtype, share=HALF), open_vllm(second, None, dtype, share=HALF)
    check_base(adapter, folder, first.text)
    engine = VllmEngine(folder, adapter, dtype)
    return VllmModel(engine, first.text, adapted=False), VllmModel(engine, second.text)


def digest(ref: str | Path) -> str:
    """Digest of what `ref` names, without loading it.

    Of the files of a local model or adapter (which are checked on the way); of the reference
    itself where the weights lie elsewhere.

    Raises:
        InputError: The folder cannot be used as a model.
    """
    from holdfast.files import digest_file, digest_value
    from holdfast.models import folder as folders

    parsed = parse_ref(ref)
    if parsed.kind == "recorded":
        return digest_file(parsed.target)
    if parsed.kind not in ("local", "hf"):
        return digest_value(parsed.text)
    found = folders.resolve(parsed)
    if folders.is_adapter(found):
        folders.check_adapter(found)
        return folders.digest_adapter(found)
    folders.check_model(found)
    return folders.digest_model(found)


def _open(ref: Ref, base: str | Path | None, options: dict[str, Any]) -> Generator:
    if ref.kind == "recorded":
        from holdfast.models.recorded import RecordedModel

        return RecordedModel(ref.target, ref.text)
    if ref.kind == "openai":
        from holdfast.models.http import HttpModel

        return HttpModel(ref)
    if ref.kind == "vllm":
        from holdfast.models.vllm import open_vllm

        return open_vllm(ref, base, options["dtype"])
    require_torch()
    from holdfast.models.local import LocalModel

    return LocalModel(_engine(ref, base, options), ref.text)


def _engine(ref: Ref, base: str | Path | None, options: dict[str, Any]) -> Engine:
    from holdfast.models.engine import Engine
    from holdfast.models.folder import is_adapter, resolve

    folder = resolve(ref)
    if not is_adapter(folder):
        return Engine(folder, **options)
    below = base_folder(folder, base)
    own = folder if (folder / "tokenizer_config.json").is_file() else below
    return Engine(below, folder, tokenizer_folder=own, **options)


def base_folder(adapter: Path, base: str | Path | None = None) -> Path:
    """The folder of an adapter's base: the one given, or the one its configuration names.

    Raises:
        InputError: It names none, or one that is not here.
    """
    from holdfast.models.folder import resolve

    if base is not None:
        folder = resolve(parse_ref(base))
        check_base(adapter, folder, str(base))
        return folder
    named = _named_base(adapter)
    if not named:
        raise InputError("this adapter does not name its base", path=adapter, fix="name it with base=")
    for candidate in (Path(named).expanduser(), adapter / named):
        if candidate.is_dir():
            return candidate
    if Path(named).is_absolute() or named.count("/") != 1 or named.startswith("."):
        raise InputError(f"its base {named} is not there any more", path=adapter, fix="name it with base=")
    return resolve(Ref("hf", named, f"hf:{named}"))


def check_base(adapter: Path, folder: Path, given: str) -> None:
    """Check that an adapter was trained on this base.

    The name in its configuration decides where it can be followed; else the tensors' shapes do,
    when the adapter is attached.

    Raises:
        InputError: It names another base.
    """
    from holdfast.models.folder import digest_model

    named = _named_base(adapter)
    if not named or Path(named).name == folder.name or named == given.removeprefix("hf:"):
        return
    other = Path(named).expanduser()
    same = other.is_dir() and (other.samefile(folder) or digest_model(other) == digest_model(folder))
    unknown = not other.is_dir() and not given.startswith("hf:")
    if not (same or unknown):
        raise InputError(
            f"this adapter was trained on {named}, not on {given}",
            path=adapter,
            fix=f"compare it with {named}, or correct base_model_name_or_path in adapter_config.json",
        )


def switches_off(adapter: Path) -> bool:
    """Whether switching the adapter off gives exactly the base back."""
    from holdfast.models.folder import check_adapter

    config = check_adapter(adapter)
    # Trained biases stay in place when a LoRA is disabled.
    return config.get("bias", "none") == "none" and config.get("peft_type") in ("LORA", "IA3", "LOHA", "LOKR")


def _named_base(adapter: Path) -> str:
    from holdfast.models.folder import ADAPTER_CONFIG

    return str(read_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path") or "")


def _cached(model: Generator, cache: Path | None) -> Generator:
    # What stands behind an endpoint may change under its name, and recorded answers are at hand.
    if cache is None or model.identity.backend in ("recorded", "openai-compatible"):
        return model
    from holdfast.models.cache import CachedModel

    return CachedModel(model, cache)


def require_torch() -> None:
    """Say how to install the extra when torch, transformers or peft is missing."""
    from importlib.util import find_spec

    for package in ("torch", "transformers", "peft"):
        if find_spec(package) is None:
            raise missing_extra("train", package)
