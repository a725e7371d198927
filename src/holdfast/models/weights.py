"""Loading weights, with the reason and the fix when it does not work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.errors import InputError, RunError
from holdfast.files import read_json
from holdfast.models.batching import is_out_of_memory


def pick_device(name: str | None) -> str:
    """The device named, or the best one here."""
    import torch

    if name is not None:
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def checkpoint_dtype(folder: Path) -> str:
    """Torch name of the dtype the checkpoint was saved in."""
    config = read_json(folder / "config.json")
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def load_weights(folder: Path, adapter: Path | None, device: str | None, dtype: str) -> Any:
    """Load a causal language model, and an adapter onto it, ready to answer.

    Raises:
        InputError: The weights do not fit their configuration, or the adapter its base.
        RunError: The device has not enough memory.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    place = pick_device(device)
    spread = {"device_map": "auto"} if place == "auto" else {}
    try:
        with _quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                str(folder),
                dtype=getattr(torch, dtype),
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                **spread,
            )
        model, found = loaded
        if place != "auto":
            model = model.to(torch.device(place))
    except (OSError, ValueError, RuntimeError, AssertionError, SafetensorError) as error:
        raise _load_error(error, folder, place) from error
    if found["missing_keys"]:
        # transformers would go on with random numbers in their place.
        names = ", ".join(sorted(found["missing_keys"])[:3])
        fix = "fetch all weight files; for an adapter name its own folder"
        raise InputError(f"the weight files lack tensors of this model ({names})", path=folder, fix=fix)
    if adapter is not None:
        model = put_adapter(model, adapter, folder)
    model.eval()
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' own progress bar, which would cut through ours."""
    import transformers

    logging: Any = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _load_error(error: Exception, folder: Path, device: str) -> InputError | RunError:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    if is_out_of_memory(error):
        return RunError(
            f"the weights do not fit into the memory of {device}",
            path=folder,
            fix="use --dtype bf16, another device, or device 'auto' to spread them",
        )
    return InputError(f"cannot load the model: {first}", path=folder, fix="check the folder and the device")


def put_adapter(model: Any, adapter: Path, folder: Path) -> Any:
    """Attach a PEFT adapter to its base.

    Raises:
        InputError: The adapter's tensors do not fit this base.
    """
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(adapter))
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        if is_out_of_memory(error):
            raise RunError("the adapter does not fit into memory", path=adapter) from error
        first = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"this adapter does not fit the base {folder}: {first}",
            path=adapter,
            fix="name the base model that the adapter was trained on",
        ) from error
