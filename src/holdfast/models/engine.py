"""One loaded transformers model, with an adapter that can be switched on and off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import InputError, missing_extra
from holdfast.models import batching, render, sampling
from holdfast.models.base import Decoding
from holdfast.models.folder import check_adapter, check_model

if TYPE_CHECKING:
    import torch

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Unit:
    """One answer to be drawn: a rendered prompt and the number of the sample."""

    index: int
    sample: int
    text: str
    ids: tuple[int, ...]
    room: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """Token ids of one answer, without its end token."""

    ids: tuple[int, ...]
    ended: bool
    broken: bool


class Engine:
    """Loads weights on first use.

    Args:
        folder: Folder of the base model.
        adapter: Folder of a PEFT adapter for it, or None.
        device: `cpu`, `cuda`, `cuda:1`, `mps` or `auto` (spread over all accelerators);
            None takes an accelerator where there is one.
        dtype: `fp32`, `fp16` or `bf16`; None is fp32 on a CPU and the checkpoint's own elsewhere.
        batch_size: Sequences at once; None fits it to the free memory.

    Raises:
        InputError: The folder cannot be used, or torch and transformers are not installed.
    """

    def __init__(
        self,
        folder: Path,
        adapter: Path | None = None,
        *,
        tokenizer_folder: Path | None = None,
        device: str | None = None,
        dtype: str | None = None,
        batch_size: int | None = None,
    ) -> None:
        check_model(folder)
        if adapter is not None:
            check_adapter(adapter)
        if dtype not in (None, *DTYPES):
            raise InputError(f"unknown dtype '{dtype}'", fix=f"one of {', '.join(DTYPES)}")
        self.folder, self.adapter = folder, adapter
        self._device, self._dtype, self._batch_size = device, dtype, batch_size
        self._fits = batch_size or batching.MAX_ROWS
        self._model: Any = None
        self.tokenizer = load_tokenizer(tokenizer_folder or folder)
        self.template = render.template_text(self.tokenizer, tokenizer_folder or folder)

    @property
    def model(self) -> Any:
        """The transformers (or PEFT) model, loaded now if it was not."""
        if self._model is None:
            from holdfast.models.weights import load_weights

            self._model = load_weights(self.folder, self.adapter, self._device, self.dtype_name)
            self._ends = render.end_tokens(self.tokenizer, self._model.generation_config.eos_token_id)
            # Measured once: batches that changed with the free memory of the moment would change
            # rounding, and with it answers, between the two arms of an audit.
            self._free = batching.free_memory(self._model.device)
            # Penalties and temperatures of the checkpoint's own generation_config.json would
            # otherwise leak into every answer.
            self._model.generation_config = self._generation_config()
        return self._model

    def close(self) -> None:
        """Free the weights; they are loaded again when needed."""
        self._model = None
        batching.release()

    @property
    def device(self) -> torch.device:
        """Where the inputs go."""
        import torch

        from holdfast.models.weights import pick_device

        name = pick_device(self._device)
        return self.model.device if name == "auto" else torch.device(name)

    @property
    def dtype_name(self) -> str:
        """Torch name of the dtype the weights are loaded in."""
        from holdfast.models.weights import checkpoint_dtype, pick_device

        if self._dtype is not None:
            return DTYPES[self._dtype]
        return "float32" if pick_device(self._device) == "cpu" else checkpoint_dtype(self.folder)

    @contextlib.contextmanager
    def arm(self, adapted: bool) -> Iterator[Any]:
        """The model with its adapter on or off."""
        model = self.model
        if self.adapter is None or adapted:
            yield model
            return
        with model.disable_adapter():
            yield model

    @property
    def limit(self) -> int:
        """Longest sequence the model takes, in tokens."""
        config = self.model.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", None) or 1 << 30)

    def rows(self, tokens: int) -> int:
        """Sequences of `tokens` tokens to run at once."""
        if self._batch_size is not None:
            return self._fits
        return min(self._fits, batching.rows_that_fit(self.model, tokens, self._free))

    def shrunk(self, rows: int) -> None:
        """Remember that no more than `rows` sequences fit."""
        self._fits = min(self._fits, rows)

    def pad(self, rows: Sequence[Sequence[int]], least: int = 0) -> dict[str, torch.Tensor]:
        """Left-padded ids and attention mask, at least `least` wide, on the model's device."""
        import torch

        width = max(least, *(len(row) for row in rows))
        fill = self.pad_id
        ids = torch.tensor([[fill] * (width - len(row)) + list(row) for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        return {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}

    @property
    def pad_id(self) -> int:
        """Padding id; masked, so that any id does where the tokenizer has none."""
        found = self.tokenizer.pad_token_id
        return int(found) if found is not None else 0

    def draw(self, units: Sequence[Unit], decoding: Decoding, adapted: bool) -> list[Drawn]:
        """Draw one answer per unit, in one batch."""
        import torch
        from transformers import LogitsProcessorList

        draws = self._uniforms(units, decoding)
        sampler = sampling.Sampler(draws, decoding.temperature, decoding.top_p, len(units))
        inputs = self.pad([unit.ids for unit in units])
        with self.arm(adapted) as model, torch.inference_mode():
            config = self._generation_config(max_new_tokens=units[0].room, do_sample=False, use_cache=True)
            output = model.generate(
                **inputs, generation_config=config, logits_processor=LogitsProcessorList([sampler])
            )
        new = output[:, inputs["input_ids"].shape[1] :].tolist()
        broken = sampler.broken.tolist()
        return [self._cut(row, bad) for row, bad in zip(new, broken, strict=True)]

    def _uniforms(self, units: Sequence[Unit], decoding: Decoding) -> torch.Tensor | None:
        import torch

        if decoding.temperature == 0:
            return None
        rows = [sampling.uniforms(u.text, decoding.seed, u.sample, units[0].room) for u in units]
        return torch.from_numpy(np.stack(rows)).to(self.device)

    def _cut(self, ids: list[int], broken: bool) -> Drawn:
        for place, token in enumerate(ids):
            if token in self._ends:
                return Drawn(tuple(ids[:place]), True, broken)
        return Drawn(tuple(ids), False, broken)

    def logits(self, inputs: dict[str, torch.Tensor], keep: int, adapted: bool) -> torch.Tensor:
        """Float32 logits of the last `keep` positions of padded inputs, (rows, keep, vocabulary)."""
        import torch

        positions = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        with self.arm(adapted) as model, torch.inference_mode():
            try:
                output = model(**inputs, position_ids=positions, logits_to_keep=keep, use_cache=False)
            except TypeError:  # a model that always gives all logits
                output = model(**inputs, use_cache=False)
        kept: torch.Tensor = output.logits[:, -keep:].float()
        return kept

    def token_logprobs(self, rows: Sequence[Sequence[int]], keep: int, adapted: bool) -> NDArray[np.float32]:
        """Log-probability of the last `keep` tokens of each row, (rows, keep); padding scores too."""
        inputs = self.pad(rows, keep + 1)
        logits = self.logits(inputs, keep + 1, adapted)[:, :-1]
        targets = inputs["input_ids"][:, -keep:]
        picked = logits.gather(-1, targets[..., None])[..., 0] - logits.logsumexp(-1)
        return picked.cpu().numpy().astype(np.float32)

    def _generation_config(self, **settings: Any) -> Any:
        import transformers

        make: Any = transformers.GenerationConfig
        return make(eos_token_id=self._ends, pad_token_id=self.pad_id, **settings)


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer, padding on the left.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise missing_extra("train", "transformers") from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, padding_side="left")
    except Exception as error:  # noqa: BLE001 - tokenizer files fail in many ways; all mean the same here
        raise InputError(
            f"no usable tokenizer: {str(error).splitlines()[0]}",
            path=folder,
            fix="save the tokenizer beside the weights (tokenizer.json, tokenizer_config.json)",
        ) from None
    return tokenizer
