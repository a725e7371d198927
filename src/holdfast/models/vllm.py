"""The vLLM backend: the offline engine, with an adapter through a LoRA request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from holdfast.errors import missing_extra
from holdfast.files import read_json
from holdfast.models.base import Completion, Decoding, Finish, Identity, Progress, Prompt, collect, failed
from holdfast.models.engine import DTYPES, load_tokenizer
from holdfast.models.folder import (
    check_adapter,
    check_model,
    digest_adapter,
    digest_model,
    is_adapter,
    resolve,
)
from holdfast.models.refs import Ref
from holdfast.models.render import TemplateError, digest_text, end_tokens, render, template_text

_CHUNK = 512
"""Prompts handed to the engine at once: it schedules within them, and a killed run keeps the rest."""


ALONE, HALF = 0.9, 0.45
"""Share of the GPU's memory of one engine, and of each of two."""

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The LoRA ranks an engine can be made ready for."""


class VllmEngine:
    """One vLLM engine over a model folder, ready for an adapter if there is one; made on first use.

    Args:
        folder: Folder of the base model.
        adapter: Folder of a PEFT adapter for it, or None.
        dtype: `fp32`, `fp16`, `bf16`; None is the checkpoint's own.
        share: Share of the GPU's memory that this engine takes (vLLM takes it all at the start).
    """

    def __init__(
        self, folder: Path, adapter: Path | None, dtype: str | None, *, share: float = ALONE
    ) -> None:
        check_model(folder)
        self.folder, self.adapter, self._share = folder, adapter, share
        self.dtype = DTYPES.get(dtype or "", "auto")
        self.tokenizer = load_tokenizer(folder)
        self.template = template_text(self.tokenizer, folder)

    @cached_property
    def llm(self) -> Any:
        """The engine itself.

        Raises:
            InputError: vLLM is not installed.
        """
        options: dict[str, Any] = {}
        if self.adapter is not None:
            rank = int(check_adapter(self.adapter).get("r", 16))
            allowed = next((size for size in _RANKS if rank <= size), rank)
            options = {"enable_lora": True, "max_lora_rank": allowed}
        return _vllm().LLM(
            model=str(self.folder),
            dtype=self.dtype,
            trust_remote_code=False,
            gpu_memory_utilization=self._share,
            **options,
        )

    @property
    def limit(self) -> int:
        """Longest sequence the engine takes, in tokens."""
        return int(self.llm.llm_engine.model_config.max_model_len)

    @cached_property
    def ends(self) -> list[int]:
        """Tokens that end an answer, as the transformers backend sees them."""
        declared = None
        for name in ("config.json", "generation_config.json"):
            if (self.folder / name).is_file():
                declared = read_json(self.folder / name).get("eos_token_id", declared)
        return end_tokens(self.tokenizer, declared)


def _vllm() -> Any:
    try:
        import vllm
    except ImportError:
        raise missing_extra("vllm", "vllm") from None
    return vllm


class VllmModel:
    """A model or adapter folder (or hub name) answered by vLLM.

    Prompts are rendered here with the base folder's own template, as the transformers backend does,
    so that both engines read the same text. Log-probabilities are not offered.

    Raises:
        InputError: The folder cannot be used, or vLLM is not installed.
    """

    def __init__(self, engine: VllmEngine, ref: str, *, adapted: bool = True) -> None:
        self.engine = engine
        self.tokenizer = engine.tokenizer
        self._ref = ref
        self._adapter = engine.adapter if adapted else None

    @cached_property
    def identity(self) -> Identity:
        """Digests of what answers."""
        return Identity(
            ref=self._ref,
            weights=digest_model(self.engine.folder),
            adapter=digest_adapter(self._adapter) if self._adapter else "",
            template=digest_text(self.engine.template),
            backend=f"vllm {_vllm().__version__} {self.engine.dtype}",
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
                inputs[index] = self._tokens(prompt)
            except TemplateError as error:
                results[index] = (failed(str(error)),) * decoding.samples
        outputs = self._ask(list(inputs.values()), decoding)
        for index, output in zip(inputs, outputs, strict=True):
            drawn = tuple(_completion(o) for o in output.outputs)
            results[index] = drawn if len(drawn) == decoding.samples else drawn[:1] * decoding.samples
        return results

    def _tokens(self, prompt: Prompt) -> list[int]:
        ids: list[int] = self.tokenizer(render(self.tokenizer, prompt), add_special_tokens=False)["input_ids"]
        # vLLM would raise, and the other prompts of the call would be lost with this one.
        if not 0 < len(ids) < self.engine.limit:
            raise TemplateError(f"the prompt has {len(ids)} tokens, the model takes {self.engine.limit}")
        return ids

    def _ask(self, inputs: list[list[int]], decoding: Decoding) -> list[Any]:
        if not inputs:
            return []
        engine = self.engine.llm
        from vllm import SamplingParams
        from vllm.lora.request import LoRARequest

        greedy = decoding.temperature == 0
        parameters = SamplingParams(
            n=1 if greedy else decoding.samples,  # vLLM refuses several greedy answers; they are equal
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=decoding.max_new_tokens,
            seed=decoding.seed,
            stop_token_ids=self.engine.ends,
        )
        lora = LoRARequest("tuned", 1, str(self._adapter)) if self._adapter else None
        tokens = [{"prompt_token_ids": ids} for ids in inputs]
        return list(engine.generate(tokens, parameters, lora_request=lora, use_tqdm=False))


def open_vllm(ref: Ref, base: str | Path | None, dtype: str | None, *, share: float = ALONE) -> VllmModel:
    """Open a `vllm:` reference."""
    from holdfast.models.load import base_folder

    folder = find(ref)
    if is_adapter(folder):
        return VllmModel(VllmEngine(base_folder(folder, base), folder, dtype, share=share), ref.text)
    return VllmModel(VllmEngine(folder, None, dtype, share=share), ref.text)


def find(ref: Ref) -> Path:
    """The folder of a `vllm:` reference: a path that exists, or else a hub name."""
    here = Path(ref.target).expanduser().exists()
    return resolve(Ref("local" if here else "hf", ref.target, ref.text))


def _completion(output: Any) -> Completion:
    finish: Finish = "length" if output.finish_reason == "length" else "stop"
    if output.finish_reason not in ("stop", "length"):
        return failed(f"vLLM stopped with '{output.finish_reason}'")
    return Completion(output.text, finish, len(output.token_ids))
