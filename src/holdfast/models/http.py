"""The backend for OpenAI-compatible endpoints (vLLM, Ollama, llama.cpp, hosted APIs)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from holdfast.errors import InputError, missing_extra
from holdfast.files import digest_value
from holdfast.models.base import Completion, Decoding, Finish, Identity, Progress, Prompt, collect, failed
from holdfast.models.http_options import is_extended, read_key, read_limits
from holdfast.models.refs import Ref

try:
    from holdfast.models.endpoint import Endpoint, EndpointError
    from holdfast.models.http_run import Run
except ImportError:
    raise missing_extra("remote", "aiohttp") from None

_USER_MUST_ACT = (401, 403, 404)


class HttpModel:
    """A model behind `openai:MODEL@URL`, through its chat completions route.

    Options go into the fragment, which is never sent: `openai:m@http://host/v1#concurrency=32&rpm=600`.
    `key=NAME` names the environment variable that holds the API key (default `OPENAI_API_KEY`);
    `timeout` is in seconds, `retries` counts tries after the first; `server=vllm` allows what only
    vLLM-like servers understand: prefilled answers and another chat template.

    The weights behind an endpoint cannot be verified: `identity.weights` is a digest of the model's
    name and URL, and answers are not cached between runs.

    Raises:
        InputError: An option is unknown or malformed.
    """

    def __init__(self, ref: Ref) -> None:
        self._ref = ref
        self.limits = read_limits(ref)
        self._extended = is_extended(ref)
        self._key = read_key(ref)
        self._limit_field = "max_tokens"
        self._repeat = False

    @property
    def identity(self) -> Identity:
        name = digest_value([self._ref.url, self._ref.target])
        return Identity(self._ref.text.partition("#")[0], weights=name, backend="openai-compatible")

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        return collect(self.stream(prompts, decoding, progress), len(prompts))

    def stream(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Answer with `concurrency` requests in flight; see `Streamer`.

        A prompt whose request fails for good gets completions with `finish="error"` and the reason.
        After `concurrency` + 4 failures in a row the rest is given up with that reason.

        Raises:
            InputError: The endpoint refuses the key, the model or the route before any answer.
        """
        run = Run(
            self.endpoint,
            lambda endpoint, index: self.answer(endpoint, prompts[index], decoding),
            self.must_act,
            n=len(prompts),
            samples=decoding.samples,
            concurrency=self.limits.concurrency,
        )
        for item in run.results():
            yield item
            if progress is not None:
                progress(1)

    async def answer(self, endpoint: Endpoint, prompt: Prompt, decoding: Decoding) -> tuple[Completion, ...]:
        """All samples of one prompt.

        Raises:
            EndpointError: A request failed for good.
        """
        if not self._extended and (_is_open(prompt) or prompt.template is not None):
            what = "prefill an answer" if _is_open(prompt) else "change the chat template"
            reason = f"this endpoint cannot {what}; add #server=vllm to the reference if it can"
            return (failed(reason),) * decoding.samples
        if decoding.temperature == 0:
            return (await self._ask(endpoint, prompt, decoding, 1, 0))[:1] * decoding.samples
        drawn: tuple[Completion, ...] = ()
        if decoding.samples > 1 and not self._repeat:
            drawn = await self._ask_for_all(endpoint, prompt, decoding)
        while len(drawn) < decoding.samples:
            drawn += (await self._ask(endpoint, prompt, decoding, 1, len(drawn)))[:1]
        return drawn

    async def _ask_for_all(
        self, endpoint: Endpoint, prompt: Prompt, decoding: Decoding
    ) -> tuple[Completion, ...]:
        try:
            drawn = await self._ask(endpoint, prompt, decoding, decoding.samples, 0)
        except EndpointError as error:
            if error.status not in (400, 422):
                raise
            drawn = ()
        self._repeat = self._repeat or len(drawn) < decoding.samples
        return drawn[: decoding.samples]

    async def _ask(
        self, endpoint: Endpoint, prompt: Prompt, decoding: Decoding, n: int, sample: int
    ) -> tuple[Completion, ...]:
        body = self._body(prompt, decoding, n, sample)
        try:
            answer = await endpoint.post(body)
        except EndpointError as error:
            if "max_completion_tokens" not in error.reason or "max_tokens" not in body:
                raise
            self._limit_field = "max_completion_tokens"
            answer = await endpoint.post(self._body(prompt, decoding, n, sample))
        return _completions(answer)

    def _body(self, prompt: Prompt, decoding: Decoding, n: int, sample: int) -> dict[str, Any]:
        # A lone surrogate (half of a broken escape) has no UTF-8; "?" has.
        turns = [
            {"role": m.role, "content": m.content.encode("utf-8", "replace").decode()}
            for m in prompt.messages
        ]
        body: dict[str, Any] = {
            "model": self._ref.target,
            "messages": turns,
            "temperature": decoding.temperature,
            self._limit_field: decoding.max_new_tokens,
        }
        if decoding.temperature > 0:
            body |= {"top_p": decoding.top_p, "seed": decoding.seed + sample}
        if n > 1:
            body["n"] = n
        if prompt.prefill:
            turns.append({"role": "assistant", "content": prompt.prefill})
        if _is_open(prompt):
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        if prompt.template is not None:
            body["chat_template"] = prompt.template
        return body

    def endpoint(self) -> Endpoint:
        """A fresh connection pool to the chat completions route."""
        return Endpoint(f"{self._ref.url}/chat/completions", self._key, self.limits)

    def must_act(self, error: EndpointError) -> InputError | None:
        """The usage error behind a refused key, model or route."""
        if error.status not in _USER_MUST_ACT:
            return None
        variable = self._ref.options.get("key", "OPENAI_API_KEY")
        fix = (
            f"check the URL and the model name '{self._ref.target}'"
            if error.status == 404
            else f"put the API key into the environment variable {variable}"
        )
        return InputError(f"{self._ref.url} refuses: {error.reason}", fix=fix)


def _is_open(prompt: Prompt) -> bool:
    """Whether the answer goes on with a turn that has begun."""
    return bool(prompt.prefill) or (prompt.messages[-1].role == "assistant" and not prompt.complete)


def _completions(answer: dict[str, Any]) -> tuple[Completion, ...]:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise EndpointError(f"the answer has no choices: {str(answer)[:160]}")
    usage = answer.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    each = int(tokens) // len(choices) if isinstance(tokens, int) else 0
    return tuple(_completion(choice, each) for choice in choices)


def _completion(choice: Any, tokens: int) -> Completion:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return failed("a choice without a message")
    finish = choice.get("finish_reason")
    if finish == "content_filter":
        return failed("the endpoint's own content filter cut the answer off")
    # Some endpoints put a refusal into a field of its own, beside an empty answer.
    text = message.get("content") or message.get("refusal") or ""
    how: Finish = "length" if finish == "length" else "stop"
    return Completion(str(text), how, tokens)
