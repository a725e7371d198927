"""The vLLM backend: the offline engine, with an adapter through a LoRA request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from holdfast.errors import missing_extra
from holdfast.models.base import Completion, Decoding, Finish, Identity, Progress, Prompt, collect, failed
from holdfast.models.engine import load_tokenizer
from holdfast.models.folder import (
    check_adapter,
    check_model,
    digest_adapter,
    digest_model,
    is_adapter,
    resolve,
)
from holdfast.models.refs import Ref
from holdfast.models.render import TemplateError, digest_text, render, template_text

_CHUNK = 512
"""Prompts handed to the engine at once: it schedules within them, and a killed run keeps the rest."""


class VllmModel:
    """A model or adapter folder (or hub name) answered by vLLM.

    Prompts are rendered here with the folder's own template, as the transformers backend does, so
    that both engines read the same text. Log-probabilities are not offered.

    Raises:
        InputError: The folder cannot be used, or vLLM is not installed.
    """

    def __init__(self, ref: Ref, *, base: str | Path | None = None, dtype: str | None = None) -> None:
        from holdfast.models.load import base_folder

        here = Path(ref.target).expanduser().exists()
        folder = resolve(Ref("local" if here else "hf", ref.target, ref.text))
        self._ref = ref.text
        self._adapter = folder if is_adapter(folder) else None
        self._folder = folder if self._adapter is None else base_folder(folder, base)
        self._dtype = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}.get(dtype or "", "auto")
        check_model(self._folder)
        self.tokenizer = load_tokenizer(self._folder)
        self._template = template_text(self.tokenizer, self._folder)

    @cached_property
    def _engine(self) -> Any:
        try:
            from vllm import LLM
        except ImportError:
            raise missing_extra("vllm", "vllm") from None
        options: dict[str, Any] = {"enable_lora": True, "max_lora_rank": self._rank} if self._adapter else {}
        return LLM(model=str(self._folder), dtype=self._dtype, trust_remote_code=False, **options)

    @property
    def _rank(self) -> int:
        assert self._adapter is not None
        # vLLM takes these ranks only.
        rank = int(check_adapter(self._adapter).get("r", 16))
        return next((allowed for allowed in (8, 16, 32, 64, 128, 256) if rank <= allowed), rank)

    @cached_property
    def identity(self) -> Identity:
        """Digests of what answers."""
        try:
            from vllm import __version__ as version
        except ImportError:
            raise missing_extra("vllm", "vllm") from None
        return Identity(
            ref=self._ref,
            weights=digest_model(self._folder),
            adapter=digest_adapter(self._adapter) if self._adapter else "",
            template=digest_text(self._template),
            backend=f"vllm {version} {self._dtype}",
        )

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        return collect(self.stream(prompts, decoding, progress), len(prompts))

    def stream(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Answer in chunks; see `Streamer`."""
        for start in range(0, len(prompts), _CHUNK):
            part = prompts[start : start + _CHUNK]
            for offset, completions in enumerate(self._chunk(part, decoding)):
                yield start + offset, completions
            if progress is not None:
                progress(len(part))

    def _chunk(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[tuple[Completion, ...]]:
        results: list[tuple[Completion, ...]] = [()] * len(prompts)
        inputs: dict[int, list[int]] = {}
        for index, prompt in enumerate(prompts):
            try:
                text = render(self.tokenizer, prompt)
            except TemplateError as error:
                results[index] = (failed(str(error)),) * decoding.samples
                continue
            inputs[index] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        outputs = self._ask(list(inputs.values()), decoding)
        for index, output in zip(inputs, outputs, strict=True):
            results[index] = tuple(_completion(o) for o in output.outputs)
        return results

    def _ask(self, inputs: list[list[int]], decoding: Decoding) -> list[Any]:
        if not inputs:
            return []
        from vllm import SamplingParams
        from vllm.lora.request import LoRARequest

        parameters = SamplingParams(
            n=decoding.samples,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=decoding.max_new_tokens,
            seed=decoding.seed,
        )
        lora = LoRARequest("tuned", 1, str(self._adapter)) if self._adapter else None
        tokens = [{"prompt_token_ids": ids} for ids in inputs]
        return list(self._engine.generate(tokens, parameters, lora_request=lora, use_tqdm=False))


def _completion(output: Any) -> Completion:
    finish: Finish = "length" if output.finish_reason == "length" else "stop"
    if output.finish_reason not in ("stop", "length"):
        return failed(f"vLLM stopped with '{output.finish_reason}'")
    return Completion(output.text, finish, len(output.token_ids))
