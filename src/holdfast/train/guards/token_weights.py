"""Token weights: learn an answer only as far as a judge finds it safe (STAR-DSS form).

Per answer token `s_t CE_t + (1 - s_t) KL(p_base || p_tuned)`, where s_t in [0, 1] is the safety of
the answer up to that token, as a judge sees the growing answer (after Peng et al., NeurIPS 2025).
With `kl: false` the second term is dropped: plain weighting, or masking where s_t is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from holdfast.errors import InputError
from holdfast.judges.base import Exchange, Judgement, Outcome
from holdfast.train.guard_config import TokenWeights
from holdfast.train.guards.base import Guard, GuardContext
from holdfast.train.guards.label_store import segments
from holdfast.train.guards.tools import is_adapter, reduce, reference, without_labels
from holdfast.train.rows import IGNORE

Judging = Callable[[Sequence[Exchange]], list[Judgement]]


def safety_of(verdict: Judgement) -> float:
    """How safe a judged answer is: 1 minus the judge's score of harm, or its verdict."""
    if verdict.outcome is Outcome.REFUSAL:
        return 1.0
    if verdict.score is not None:
        return 1.0 - verdict.score
    return 0.0 if verdict.outcome is Outcome.HARMFUL else 1.0


def growing_answers(count: int, stride: int) -> list[int]:
    """Lengths of the answer at which it is judged; the last is all of it.

    >>> growing_answers(7, 3)
    [3, 6, 7]
    """
    return [*range(stride, count, stride), count]


def star_loss(
    tuned: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, base: torch.Tensor | None
) -> torch.Tensor:
    """Per-token loss, shape (tokens,).

    Args:
        tuned: Log-probabilities of the tuned model, (tokens, vocabulary).
        labels: The right tokens, (tokens,).
        weights: s_t, (tokens,).
        base: Log-probabilities of the base, (tokens, vocabulary), or None for plain weighting.
    """
    loss = -weights * tuned.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    if base is None:
        return loss
    return loss + (1 - weights) * (base.exp() * (base - tuned)).sum(-1)


class TokenWeightsGuard(Guard):
    """See the module; built from a `TokenWeights` configuration.

    Args:
        config: The settings.
        judging: Judges exchanges; default the judge that the configuration names.
    """

    name = "token_weights"
    replaces_loss = True

    def __init__(self, config: TokenWeights, judging: Judging | None = None) -> None:
        self.config = config
        self._judging = judging
        self._weights: dict[str, torch.Tensor] = {}

    def prepare(self, trainer: Any, context: GuardContext) -> None:
        """Judge the growing answers of every training row, once.

        Raises:
            InputError: Full fine-tuning with `kl`, or no tokenizer to read the rows with.
        """
        if self.config.kl and not is_adapter(trainer):
            raise InputError("token_weights with kl needs an adapter", fix="set kl: false, or method: lora")
        if context.tokenizer is None:
            raise InputError("token_weights needs the tokenizer")
        judging = self._judging
        if judging is None:
            from holdfast.judges import load

            judging = load(self.config.judge).judge
        dataset = trainer.train_dataset
        for index in range(len(dataset)):
            batch = trainer.data_collator([dataset[index]])
            for row, begin, end, key in segments(batch):
                ids = batch["input_ids"][row, begin:end]
                labels = batch["labels"][row, begin:end]
                self._weights[key] = token_safety(ids, labels, context.tokenizer, judging, self.config)

    def main_loss(
        self, trainer: Any, model: Any, inputs: Mapping[str, Any], num_items: Any
    ) -> tuple[torch.Tensor, Any]:
        """The weighted loss of this batch."""
        batch = without_labels(inputs)
        labels = inputs["labels"][:, 1:]
        mask = labels != IGNORE
        weights = self._lookup(inputs).to(labels.device)[mask]
        tuned = model(**batch).logits[:, :-1][mask].float().log_softmax(-1)
        base = None
        if self.config.kl and bool((weights < 1).any()):
            with torch.no_grad(), reference(trainer):
                base = model(**batch).logits[:, :-1][mask].float().log_softmax(-1)
        loss = star_loss(tuned, labels[mask], weights, base)
        return reduce(trainer, loss, torch.ones_like(loss, dtype=torch.bool), num_items), None

    def _lookup(self, inputs: Mapping[str, Any]) -> torch.Tensor:
        labels = inputs["labels"]
        found = torch.ones((labels.shape[0], labels.shape[1] - 1))
        for row, begin, end, key in segments(inputs):
            found[row, begin : end - 1] = self._weights[key]
        return found


def token_safety(
    ids: torch.Tensor, labels: torch.Tensor, tokenizer: Any, judging: Judging, config: TokenWeights
) -> torch.Tensor:
    """s_t for the predictions of one row, shape (length - 1,); 1 where nothing is trained."""
    weights = torch.ones(len(ids) - 1)
    places = [i for i, label in enumerate(labels.tolist()) if label != IGNORE]
    if not places:
        return weights
    from holdfast.conversation import Message

    prompt = (Message("user", tokenizer.decode(ids[: places[0]], skip_special_tokens=True)),)
    lengths = growing_answers(len(places), config.stride)
    texts = [tokenizer.decode(ids[places[:length]], skip_special_tokens=True) for length in lengths]
    verdicts = judging([Exchange(prompt, text) for text in texts])
    start = 0
    for length, verdict in zip(lengths, verdicts, strict=True):
        safety = safety_of(verdict)
        for place in places[start:length]:
            weights[place - 1] = 0.0 if safety < config.mask_below else safety
        start = length
    return weights
