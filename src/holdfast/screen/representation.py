"""How rows look from inside the model to be tuned: three scores of how much they erode safety.

Any transformers causal language model serves. Formulas (METHODS of the fields named):

* anchors: cos(h(x, y), unsafe) - cos(h(x, y), safe), means over anchors, at one layer (He et al.
  2024; LARF 2025). Unsafe anchors are harmful requests with an affirmative opening, safe anchors the
  same requests with a refusal: no harmful answer is needed. h is the mean state of the last prompt token
  and the first three of the answer, where alignment lives (Qi et al. 2025), and not the last
  token as in those papers: an opening and a whole refusal end differently, and so do rows.
* projection: -(mean h(x, y) - mean h(x, y')) . r over answer tokens, y' the model's own answer and r
  the refusal direction, mean h(harmful) - mean h(harmless) at the last prompt token (Arditi et al.
  2024; the difference to the own answer as in Persona Vectors 2025).
* gradient: log(1 + |g|^2) + log(1 + tokens), g the gradient of the mean negative log-likelihood of
  the answer (Self-Inf-N, Guan et al. 2025).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.conversation import Message, chat
from holdfast.errors import InputError
from holdfast.models import Prompt, parse_ref
from holdfast.models import load as load_model
from holdfast.models.folder import resolve

_OPENING = "Sure, here is"
_REFUSAL = "I'm sorry, but I can't help with that."
_OWN_TOKENS = 24
_HEAD = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RowScores:
    """Scores of rows, each of shape (rows,); higher erodes more."""

    anchors: Floats
    projection: Floats
    gradient: Floats

    @property
    def combined(self) -> Floats:
        """Mean of the ranks of the three scores, each scaled to [0, 1]."""
        return np.asarray(
            np.mean([_ranks(s) for s in (self.anchors, self.projection, self.gradient)], axis=0)
        )


class Inside:
    """A loaded model, its refusal direction and its anchors.

    Args:
        model: A transformers causal language model in evaluation mode.
        tokenizer: Its tokenizer, with a chat template.
        harmful: Harmful requests.
        harmless: Harmless requests that look alike.
        layer: Hidden layer read (0 = embeddings); None takes 60 % of the depth.
        batch: Sequences at once.
        longest: Tokens of a row read, from its end.
        opening: How an answer to a harmful request opens: the unsafe anchors.
        refusal: How the model declines: the safe anchors.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        harmful: Sequence[str],
        harmless: Sequence[str],
        *,
        layer: int | None = None,
        batch: int = 16,
        longest: int = 1024,
        opening: str = _OPENING,
        refusal: str = _REFUSAL,
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.batch, self.longest = batch, longest
        self.layer = round(0.6 * model.config.num_hidden_layers) if layer is None else layer
        direction = self._ends(harmful).mean(axis=0) - self._ends(harmless).mean(axis=0)
        self.refusal = direction / max(float(np.linalg.norm(direction)), 1e-9)
        self.unsafe = self._heads([(chat(("user", h)), opening) for h in harmful])
        self.safe = self._heads([(chat(("user", h)), refusal) for h in harmful])

    def scores(self, rows: Sequence[tuple[tuple[Message, ...], str]]) -> RowScores:
        """Score rows, each the turns before the answer and the answer."""
        own = self._own([messages for messages, _ in rows])
        other = [(messages, answer) for (messages, _), answer in zip(rows, own, strict=True)]
        change = (self._means(rows) - self._means(other)) @ self.refusal
        return RowScores(self._anchored(rows), -change, self._gradients(rows))

    def _anchored(self, rows: Sequence[tuple[tuple[Message, ...], str]]) -> Floats:
        heads = _unit(self._heads(rows))
        unsafe, safe = (heads @ _unit(anchors).T for anchors in (self.unsafe, self.safe))
        return np.asarray(unsafe.mean(axis=1) - safe.mean(axis=1))

    def _ends(self, prompts: Sequence[str]) -> Floats:
        """Hidden states at the last prompt token, shape (n, width)."""
        return self._last([(chat(("user", prompt)), "") for prompt in prompts])

    def _last(self, rows: Sequence[tuple[tuple[Message, ...], str]]) -> Floats:
        return np.stack([states[-1] for states, _ in self._states(rows)])

    def _heads(self, rows: Sequence[tuple[tuple[Message, ...], str]]) -> Floats:
        """Mean hidden state of the last prompt token and the answer's first ones, shape (n, width)."""
        return np.stack(
            [states[-size - 1 :][: _HEAD + 1].mean(axis=0) for states, size in self._states(rows)]
        )

    def _means(self, rows: Sequence[tuple[tuple[Message, ...], str]]) -> Floats:
        """Mean hidden state over answer tokens (the last prompt token if there is no answer)."""
        return np.stack([states[-max(size, 1) :].mean(axis=0) for states, size in self._states(rows)])

    def _states(self, rows: Sequence[tuple[tuple[Message, ...], str]]) -> Iterator[tuple[Floats, int]]:
        """Hidden states of each row's tokens and the number of its answer tokens."""
        import torch

        encoded = [self._encode(messages, answer) for messages, answer in rows]
        for start in range(0, len(encoded), self.batch):
            part = encoded[start : start + self.batch]
            width = max(len(ids) for ids, _ in part)
            ids = torch.zeros((len(part), width), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for place, (row, _) in enumerate(part):
                ids[place, : len(row)] = torch.tensor(row)
                mask[place, : len(row)] = 1
            device = self.model.device
            with torch.no_grad():
                out = self.model(
                    input_ids=ids.to(device), attention_mask=mask.to(device), output_hidden_states=True
                )
            hidden = out.hidden_states[self.layer].float().cpu().numpy().astype(np.float64)
            for place, (row, size) in enumerate(part):
                yield hidden[place, : len(row)], size

    def _encode(self, messages: tuple[Message, ...], answer: str) -> tuple[list[int], int]:
        """Token ids of a row (its end, if long) and the number of answer tokens."""
        from holdfast.models.render import render

        text = render(self.tokenizer, Prompt(messages))
        prompt = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        tail = self.tokenizer(answer, add_special_tokens=False)["input_ids"] if answer else []
        ids = [*prompt, *tail][-self.longest :]
        return ids, min(len(tail), len(ids) - 1)

    def _own(self, prompts: Sequence[tuple[Message, ...]]) -> list[str]:
        """The model's own greedy answers, 24 tokens each; prompts of like length share a batch."""
        import torch

        encoded = [self._encode(messages, "")[0] for messages in prompts]
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
        answers = [""] * len(encoded)
        for start in range(0, len(order), self.batch):
            part = order[start : start + self.batch]
            width = len(encoded[part[-1]])
            ids = torch.zeros((len(part), width), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, place in enumerate(part):
                size = len(encoded[place])
                ids[row, width - size :] = torch.tensor(encoded[place])
                mask[row, width - size :] = 1
            with torch.no_grad():
                drawn = self.model.generate(
                    input_ids=ids.to(self.model.device),
                    attention_mask=mask.to(self.model.device),
                    max_new_tokens=_OWN_TOKENS,
                    do_sample=False,
                    pad_token_id=self.tokenizer.pad_token_id or 0,
                )
            for row, place in enumerate(part):
                answers[place] = self.tokenizer.decode(drawn[row, width:], skip_special_tokens=True)
        return answers

    def _gradients(self, rows: Sequence[tuple[tuple[Message, ...], str]]) -> Floats:
        return np.array([self._gradient(*self._encode(messages, answer)) for messages, answer in rows])

    def _gradient(self, ids: list[int], size: int) -> float:
        """Length-normalised size of the answer's gradient over all weights: a row at a time."""
        import torch

        if not size:
            return 0.0
        weights = [w for w in self.model.parameters() if w.is_floating_point()]
        for weight in weights:
            weight.requires_grad_(True)
        inputs = torch.tensor([ids], device=self.model.device)
        logits = self.model(input_ids=inputs).logits[0, -size - 1 : -1].float()
        loss = torch.nn.functional.cross_entropy(logits, inputs[0, -size:])
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        norm = sum(float(g.float().pow(2).sum()) for g in gradients if g is not None)
        return float(np.log1p(norm) + np.log1p(size))


def check_ref(ref: str) -> None:
    """Refuse a model that cannot be looked into, without loading it.

    Raises:
        InputError: The reference names no transformers model whose weights are at hand.
    """
    parsed = parse_ref(ref)
    if parsed.kind not in ("local", "hf"):
        raise InputError(
            f"'{ref}' has no weights to look into", fix="give --model a folder or hf:NAME, not an endpoint"
        )
    resolve(parsed)


def open_inside(ref: str, *, most: int = 32) -> Inside:
    """Open a model by reference, with anchors from the built-in suites.

    Raises:
        InputError: The reference names no local transformers model.
    """
    from holdfast.suites import load as load_suite

    check_ref(ref)
    loaded: Any = load_model(ref)
    prompts = [
        [p.messages[-1].content for p in load_suite(f"builtin:{name}").prompts if len(p.messages) == 1][:most]
        for name in ("hazards", "lookalikes")
    ]
    return Inside(loaded.engine.model, loaded.engine.tokenizer, prompts[0], prompts[1])


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def _ranks(scores: Floats) -> Floats:
    from scipy.stats import rankdata

    return np.asarray(rankdata(scores) / max(len(scores), 1))
