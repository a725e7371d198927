"""Load base and tokenizer for training, with every refusal said before a step is taken."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from holdfast.errors import InputError
from holdfast.files import digest_value
from holdfast.models.folder import check_model, is_adapter, resolve
from holdfast.models.refs import parse_ref
from holdfast.train.config import TrainConfig

_EDGE = 1 << 16


def find_base(base: str | Path) -> Path:
    """The folder of the base: a local one, or `hf:NAME` from the hub cache.

    Raises:
        InputError: It is not a model that transformers loads by itself.
    """
    ref = parse_ref(base)
    if ref.kind not in ("local", "hf"):
        raise InputError(f"only local weights can be trained, not '{base}'", fix="name a folder or hf:NAME")
    folder = resolve(ref)
    if is_adapter(folder):
        raise InputError(
            "this is an adapter, not a base model", path=folder, fix="merge it into its base first"
        )
    check_model(folder)
    return folder


def load_tokenizer(base: Path, template: Path | None = None) -> Any:
    """The base's tokenizer, with another chat template if one is given.

    Raises:
        InputError: It is missing or has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"no usable tokenizer: {_first_line(error)}", path=base) from None
    if template is not None:
        tokenizer.chat_template = template.read_text(encoding="utf-8")
    if getattr(tokenizer, "chat_template", None) is None:
        raise InputError(
            "the tokenizer has no chat template", path=base, fix="add chat_template.jinja to the model folder"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(base: Path, config: TrainConfig) -> Any:
    """The base model in the precision of the run.

    Raises:
        InputError: No weights, or a quantised base that this machine or method cannot train.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        settings = AutoConfig.from_pretrained(base)
        half = use_bf16(config) and config.method == "lora"
        dtype = torch.bfloat16 if half else torch.float32
        how = _quantised(settings, base, config, dtype)
        with quiet_bars():
            model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, **how)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot load the model: {_first_line(error)}", path=base) from None
    for module in model.modules():
        # On some CPUs bitsandbytes repacks 4-bit weights at the first forward pass in eval mode, and
        # the backward pass of later training reads them as if it had not: wrong gradients, no error.
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]
    return model


@contextlib.contextmanager
def quiet_bars() -> Iterator[None]:
    """Keep transformers' own progress bars off the terminal; its setting is put back."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def use_bf16(config: TrainConfig) -> bool:
    """Whether the run computes in bfloat16."""
    if config.precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return config.precision == "bf16"


def quick_digest(folder: Path) -> str:
    """A digest of a model folder from its small files and both ends of its large ones.

    Enough to notice another base, in milliseconds at any size.

    Raises:
        InputError: There is no such folder.
    """
    if not folder.is_dir():
        raise InputError("no such model folder", path=folder)
    parts = []
    for path in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        with path.open("rb") as handle:
            size = path.stat().st_size
            head = handle.read(_EDGE)
            handle.seek(max(0, size - _EDGE))
            parts.append([path.name, size, head.hex(), handle.read(_EDGE).hex()])
    return digest_value(parts)


def _quantised(settings: Any, base: Path, config: TrainConfig, dtype: torch.dtype) -> dict[str, Any]:
    """How to load a quantised base (one that is stored so, or `config.quantise`); else nothing."""
    stored = getattr(settings, "quantization_config", None)
    if stored is None and config.quantise == "no":
        return {}
    if config.method == "full":
        raise InputError(
            "a quantised base cannot be fine-tuned in full", path=base, fix="use method: lora (QLoRA)"
        )
    if stored is not None and config.quantise != "no":
        raise InputError("the base is quantised already", path=base, fix="leave quantise out")
    gpu = torch.cuda.is_available()
    method = "bitsandbytes" if stored is None else str(dict(stored).get("quant_method"))
    if not gpu and method != "bitsandbytes":
        raise InputError(
            f"a base quantised by {method} needs a GPU to train",
            path=base,
            fix="use the unquantised weights with quantise: 4bit",
        )
    if method == "bitsandbytes" and importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("bitsandbytes is not installed", path=base, fix="pip install 'holdfast[qlora]'")
    place = {"device_map": {"": torch.cuda.current_device() if gpu else "cpu"}}
    return place if stored is not None else place | {"quantization_config": _bitsandbytes(config, dtype)}


def _bitsandbytes(config: TrainConfig, dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if config.quantise == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
