"""The transformers backend: answers and log-probabilities of a model on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.models import batching
from holdfast.models.base import (
    Completion,
    Decoding,
    Identity,
    Progress,
    Prompt,
    TokenScores,
    collect,
    failed,
)
from holdfast.models.engine import Drawn, Engine, Unit
from holdfast.models.folder import digest_adapter, digest_model
from holdfast.models.render import TemplateError, digest_text, render


class LocalModel:
    """A model, or one arm of a base with an adapter, behind the `Generator` and `Scorer` interfaces.

    Two arms may share one engine: the adapter is switched for each batch, so that the weights are
    in memory once and both arms' answers may be drawn in turns.
    """

    def __init__(self, engine: Engine, ref: str, *, adapted: bool = True) -> None:
        self.engine = engine
        self._ref = ref
        self._adapted = adapted and engine.adapter is not None

    @cached_property
    def identity(self) -> Identity:
        """Digests of what answers; hashing large weights takes a while, once."""
        adapter = self.engine.adapter
        return Identity(
            ref=self._ref,
            weights=digest_model(self.engine.folder),
            adapter=digest_adapter(adapter) if self._adapted and adapter is not None else "",
            template=digest_text(self.engine.template),
            backend=f"transformers {version('transformers')} {self.engine.dtype_name}",
        )

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self.engine.tokenizer

    def close(self) -> None:
        """Free the weights (of both arms); they are loaded again when needed."""
        self.engine.close()

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        return collect(self.stream(prompts, decoding, progress), len(prompts))

    def stream(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Answer the longest prompts first; see `Streamer`.

        A prompt that cannot be rendered, is longer than the model's context, does not fit into
        memory or makes the model give NaN logits gets completions with `finish="error"`.
        """
        draws = decoding.samples if decoding.temperature > 0 else 1
        units: list[Unit] = []
        for index, prompt in enumerate(prompts):
            made = self._units(index, prompt, decoding, draws)
            if isinstance(made, Completion):
                yield index, (made,) * decoding.samples
                _count(progress)
            else:
                units += made
        # Longest first: memory runs out at once or never, and the time left is not underestimated.
        units.sort(key=lambda u: (u.room, -len(u.ids), u.index, u.sample))
        done: dict[int, dict[int, Completion]] = {}
        for unit, completion in self._answers(units, decoding):
            answers = done.setdefault(unit.index, {})
            answers[unit.sample] = completion
            if len(answers) == draws:
                ordered = tuple(answers[number % draws] for number in range(decoding.samples))
                del done[unit.index]
                yield unit.index, ordered
                _count(progress)

    def _units(self, index: int, prompt: Prompt, decoding: Decoding, draws: int) -> list[Unit] | Completion:
        encoded = self._encode(prompt)
        if isinstance(encoded, Completion):
            return encoded
        room = min(decoding.max_new_tokens, self.engine.limit - len(encoded.ids))
        if room <= 0:
            return failed(f"the prompt has {len(encoded.ids)} tokens, the model takes {self.engine.limit}")
        return [Unit(index, sample, encoded.text, encoded.ids, room) for sample in range(draws)]

    def _encode(self, prompt: Prompt) -> _Encoded | Completion:
        try:
            text = render(self.tokenizer, prompt)
        except TemplateError as error:
            return failed(str(error))
        ids = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return _Encoded(text, ids) if ids else failed("the prompt has no tokens")

    def _answers(self, units: list[Unit], decoding: Decoding) -> Iterator[tuple[Unit, Completion]]:
        cut = batching.batches(units, lambda u: u.room, lambda u: self.engine.rows(len(u.ids) + u.room))
        for batch in cut:
            parts = batching.shrinking(
                batch, lambda part: self.engine.draw(part, decoding, self._adapted), self.engine.shrunk
            )
            for part, drawn in parts:
                if isinstance(drawn, batching.OutOfMemoryError):
                    yield part[0], failed(f"out of memory: {drawn}")
                    continue
                for unit, answer in zip(part, drawn, strict=True):
                    yield unit, self._completion(answer)

    def _completion(self, drawn: Drawn) -> Completion:
        if drawn.broken:
            return failed("the model gave NaN or infinite logits")
        text = self.tokenizer.decode(drawn.ids, skip_special_tokens=True)
        return Completion(text, "stop" if drawn.ended else "length", len(drawn.ids))

    def first_token(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Log-probabilities at the first answer position; NaN rows for prompts that failed."""
        vocabulary = self.engine.model.config.get_text_config().vocab_size
        result = np.full((len(prompts), vocabulary), np.nan, np.float32)
        rows = [(i, e.ids) for i, e in enumerate(map(self._encode, prompts)) if isinstance(e, _Encoded)]

        def work(part: list[_Row]) -> NDArray[np.float32]:
            logits = self.engine.logits(self.engine.pad([ids for _, ids in part]), 1, self._adapted)[:, 0]
            return np.asarray(logits.log_softmax(-1).cpu().numpy())

        for part, logprobs in self._passes(rows, work):
            for (index, _), row in zip(part, logprobs, strict=True):
                result[index, : len(row)] = row[:vocabulary]
        return result

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[TokenScores]:
        """Log-probabilities of given answers; an empty `TokenScores` for what cannot be scored."""
        scores = [TokenScores(())] * len(prompts)
        rows: list[_Row] = []
        lengths: dict[int, int] = {}
        for index, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            ids, n = self._with_answer(prompt, answer)
            if n:
                rows.append((index, ids))
                lengths[index] = n

        def work(part: list[_Row]) -> NDArray[np.float32]:
            keep = max(lengths[index] for index, _ in part)
            return self.engine.token_logprobs([ids for _, ids in part], keep, self._adapted)

        for part, logprobs in self._passes(rows, work):
            for (index, ids), row in zip(part, logprobs, strict=True):
                n = lengths[index]
                tokens = tuple(self.tokenizer.decode([token]) for token in ids[-n:])
                scores[index] = TokenScores(tokens, row[-n:])
        return scores

    def _with_answer(self, prompt: Prompt, answer: str) -> tuple[tuple[int, ...], int]:
        encoded = self._encode(prompt)
        if isinstance(encoded, Completion) or not answer:
            return (), 0
        full = tuple(self.tokenizer(encoded.text + answer, add_special_tokens=False)["input_ids"])
        # A token that straddles the seam belongs to the answer.
        pairs = enumerate(zip(encoded.ids, full, strict=False))
        shared = next((i for i, (a, b) in pairs if a != b), len(encoded.ids))
        return (full, len(full) - shared) if len(full) <= self.engine.limit else ((), 0)

    def _passes(self, rows: list[_Row], work: Any) -> Iterator[tuple[list[_Row], NDArray[np.float32]]]:
        rows = sorted(rows, key=lambda row: -len(row[1]))
        for batch in batching.batches(rows, lambda _: 0, lambda row: self.engine.rows(2 * len(row[1]))):
            for part, result in batching.shrinking(batch, work, self.engine.shrunk):
                if not isinstance(result, batching.OutOfMemoryError):
                    yield part, result


@dataclass(frozen=True, slots=True)
class _Encoded:
    text: str
    ids: tuple[int, ...]


_Row = tuple[int, tuple[int, ...]]


def _count(progress: Progress | None) -> None:
    if progress is not None:
        progress(1)
