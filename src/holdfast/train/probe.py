"""The safety probe: a few cheap measurements of refusal every N steps, in any `Trainer`.

- *refusal log-odds*: mean over refused prompts of `log P(R) - log(1 - P(R))` at the first answer
  position, R being the tokens with which the base's own refusals begin (Arditi et al. 2024);
- *direction cosine*: `cos(r_0, r_t)`, r = mean hidden state at the last token of refused prompts
  minus that of benign prompts, at one layer;
- *refused share*: a few prompts of each kind answered, greedily and briefly, and judged by keyword;
  paired with the base's answers to the same prompts.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from holdfast.errors import InputError
from holdfast.files import digest_value
from holdfast.judges.base import Exchange
from holdfast.train.config import Probe
from holdfast.train.guards.base import GuardContext
from holdfast.train.guards.tools import need_base, reference, trainable
from holdfast.train.rows import IGNORE, TokenRow
from holdfast.train.store import checkpoint_folder, load_tensors, save_tensors

_GOOD = "probe_good.safetensors"


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement.

    Attributes:
        log_odds: Refusal log-odds, one per refused prompt, shape (prompts,).
        direction: The refusal direction, shape (width,).
        refused: Whether each generated answer refuses: first the refused prompts', then the
            benign ones', shape (2, generated); empty when nothing is generated.
    """

    log_odds: torch.Tensor
    direction: torch.Tensor
    refused: torch.Tensor


def refusal_log_odds(logps: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
    """`log P(R) - log(1 - P(R))` of every row.

    Args:
        logps: Next-token log-probabilities, shape (prompts, vocabulary).
        tokens: The first tokens of refusals.
    """
    inside = logps[:, list(tokens)].logsumexp(-1)
    rest = logps.clone()
    rest[:, list(tokens)] = -torch.inf
    return inside - rest.logsumexp(-1).clamp(min=-80.0)


class SafetyProbe(TrainerCallback):
    """Measures, logs through the trainer, and acts; use it with any trainer.

    Args:
        trainer: The trainer it is added to.
        context: Gives the safety rows and the tokenizer.
        config: The settings.
    """

    def __init__(self, trainer: Any, context: GuardContext, config: Probe) -> None:
        self.trainer = trainer
        self.config = config
        self.context = context
        self.history: list[dict[str, Any]] = []
        self.stopped: str | None = None
        self._good: list[torch.Tensor] = []
        self._rows = {
            kind: [r for r in context.safety if r.kind == kind][: config.prompts]
            for kind in ("refuse", "lookalike")
        }
        if not self._rows["refuse"]:
            raise InputError(
                "the probe needs safety rows of kind 'refuse'",
                fix="pass the safety.jsonl that `holdfast mix` writes (--safety)",
            )
        self._tokens = _opening_tokens(self._rows)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the base."""
        self._every = self.config.every or max(50, state.max_steps // 20)
        self.history = [
            {key: value for key, value in point.items() if key == "step" or key.startswith("probe/")}
            for point in state.log_history
            if "probe/log_odds" in point
        ]
        self._base = self._stored() or self._measure_base()
        if self.config.act == "rollback":
            self._good = [p.detach().clone() for p in trainable(self.trainer.model)]
            path = checkpoint_folder(args, state) / _GOOD
            stored = load_tensors(path, "good") if state.global_step else None
            for index, kept in enumerate(self._good if stored else ()):
                kept.copy_(stored[str(index)])  # type: ignore[index]

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the last good weights in the checkpoint, where a rollback may need them."""
        if self.config.act == "rollback" and state.is_world_process_zero:
            good = {str(i): tensor.cpu().contiguous() for i, tensor in enumerate(self._good)}
            save_tensors(checkpoint_folder(args, state) / _GOOD, good, "good")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure and act, every N steps and at the last one."""
        last = state.global_step >= state.max_steps
        if self.stopped or (state.global_step % self._every and not last):
            return
        reading = self._measure()
        point = compare(self._base, reading)
        alarm = self._alarm(point)
        point["probe/alarm"] = float(alarm is not None)
        self.trainer.log(dict(point))
        self.history.append({"step": state.global_step, **point})
        if alarm is None:
            self._remember()
            return
        warnings.warn(f"safety probe at step {state.global_step}: {alarm}", stacklevel=2)
        if self.config.act != "warn":
            self.stopped = f"safety probe at step {state.global_step}: {alarm}"
            control.should_training_stop = True
        if self.config.act == "rollback":
            self._roll_back()

    def _alarm(self, point: dict[str, float]) -> str | None:
        if point["probe/log_odds_change"] < -self.config.max_drop:
            return f"refusal log-odds fell by {-point['probe/log_odds_change']:.1f} nats"
        lost = point.get("probe/refused_base", 0.0) - point.get("probe/refused", 0.0)
        if lost > self.config.max_lost:
            return f"{100 * lost:.0f} % of the refusals are lost"
        return None

    def _remember(self) -> None:
        if self.config.act == "rollback":
            for kept, parameter in zip(self._good, trainable(self.trainer.model), strict=True):
                kept.copy_(parameter.detach())

    def _roll_back(self) -> None:
        for kept, parameter in zip(self._good, trainable(self.trainer.model), strict=True):
            parameter.data.copy_(kept)
        self.trainer.optimizer.state.clear()
        self.trainer.rolled_back = True

    def _measure_base(self) -> Reading:
        need_base(self.trainer, "probe")
        with reference(self.trainer):
            reading = self._measure()
        if self.context.folder is not None and self.trainer.is_world_process_zero():
            tensors = {name: getattr(reading, name) for name in Reading.__dataclass_fields__}
            save_tensors(self._path(self.context.folder), tensors, self._key())
        return reading

    def _stored(self) -> Reading | None:
        folder = self.context.folder
        found = None if folder is None else load_tensors(self._path(folder), self._key())
        return None if found is None else Reading(**found)

    @staticmethod
    def _path(folder: Path) -> Path:
        return folder / "probe.safetensors"

    def _key(self) -> str:
        rows = [row.input_ids for group in self._rows.values() for row in group]
        return digest_value([self.context.key, self.config.model_dump(), rows])

    @torch.no_grad()
    def _measure(self) -> Reading:
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        training = model.training
        model.eval()
        try:
            refuse, logps = self._last_token(model, self._rows["refuse"])
            benign = self._last_token(model, self._rows["lookalike"])[0] if self._rows["lookalike"] else None
            direction = refuse.mean(0) - (0.0 if benign is None else benign.mean(0))
            return Reading(refusal_log_odds(logps, self._tokens), direction, self._answers(model))
        finally:
            model.train(training)

    def _last_token(self, model: Any, rows: list[TokenRow]) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states at the probe's layer and log-probabilities, at every prompt's last token."""
        batch = _padded(rows, self.context.pad, self.trainer.args.device, left=False)
        out = model(**batch, use_cache=False, output_hidden_states=True)
        layer = max(1, round(self.config.layer * (len(out.hidden_states) - 1)))
        every = torch.arange(len(rows), device=out.logits.device)
        last = batch["attention_mask"].sum(-1) - 1
        logps = out.logits[every, last].float().log_softmax(-1)
        return out.hidden_states[layer][every, last].float().cpu(), logps.cpu()

    def _answers(self, model: Any) -> torch.Tensor:
        from holdfast.judges.keyword import KeywordJudge

        count = min([self.config.generate, *(len(rows) for rows in self._rows.values())])
        if count == 0 or self.context.tokenizer is None:
            return torch.zeros(0)
        rows = self._rows["refuse"][:count] + self._rows["lookalike"][:count]
        batch = _padded(rows, self.context.pad, self.trainer.args.device, left=True)
        made = model.generate(
            **batch,
            max_new_tokens=self.config.max_new_tokens,
            do_sample=False,
            pad_token_id=self.context.pad,
            use_cache=True,
        )
        texts = self.context.tokenizer.batch_decode(
            made[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
        verdicts = KeywordJudge().judge([Exchange((), text) for text in texts])
        return torch.tensor([bool(v.refused) for v in verdicts], dtype=torch.float32).reshape(2, count)


def compare(base: Reading, now: Reading) -> dict[str, float]:
    """The numbers that are logged: levels, and changes paired by prompt."""
    point = {
        "probe/log_odds": float(now.log_odds.mean()),
        "probe/log_odds_change": float((now.log_odds - base.log_odds).mean()),
        "probe/cosine": float(torch.cosine_similarity(base.direction, now.direction, dim=0)),
    }
    if now.refused.numel():
        point |= {
            "probe/refused": float(now.refused[0].mean()),
            "probe/refused_base": float(base.refused[0].mean()),
            "probe/over_refused": float(now.refused[1].mean()),
            "probe/over_refused_base": float(base.refused[1].mean()),
        }
    return point


def _opening_tokens(rows: dict[str, list[TokenRow]]) -> list[int]:
    """First tokens of the base's refusals that do not also begin its benign answers."""
    first = {kind: {_first_label(row) for row in group} for kind, group in rows.items()}
    return sorted(first["refuse"] - first["lookalike"] or first["refuse"])


def _first_label(row: TokenRow) -> int:
    return next(label for label in row.labels if label != IGNORE)


def _padded(rows: list[TokenRow], pad: int, device: Any, *, left: bool) -> dict[str, torch.Tensor]:
    """The prompts alone, padded on one side, shape (rows, longest)."""
    prompts = [row.input_ids[: next(i for i, x in enumerate(row.labels) if x != IGNORE)] for row in rows]
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, prompt in enumerate(prompts):
        start = width - len(prompt) if left else 0
        ids[index, start : start + len(prompt)] = torch.tensor(prompt)
        mask[index, start : start + len(prompt)] = 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
