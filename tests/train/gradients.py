"""One real optimiser step of a guarded trainer, with its gradients, for comparison with formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

from holdfast.train.config import TrainConfig
from holdfast.train.guards import GuardContext
from holdfast.train.loading import load_base
from holdfast.train.mixin import attach, guarded
from holdfast.train.rows import IGNORE, TokenRow, collate, read_rows, tokenise
from holdfast.train.trainer import build_trainer

Gradients = dict[str, torch.Tensor]


def token_rows(path: Path, base: Path) -> list[TokenRow]:
    return tokenise(read_rows(path), AutoTokenizer.from_pretrained(base), 128).rows


class Capture(TrainerCallback):
    """Moves the weights off the base before the first step and keeps every step's gradients."""

    def __init__(self, move: float) -> None:
        self.move = move
        self.gradients: list[Gradients] = []
        self.weights: list[Gradients] = []

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        generator = torch.Generator().manual_seed(5)
        for p in model.parameters():
            if p.requires_grad and self.move:
                p.data += self.move * torch.randn(p.shape, generator=generator)
        self._keep(model)

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self._keep(model)

    def _keep(self, model) -> None:
        self.weights.append({n: p.detach().clone() for n, p in model.named_parameters()})


@dataclass
class Case:
    """A trainer with its rows; `run` trains it and gives what was captured."""

    base: Path
    rows: list[TokenRow]
    safety: list[TokenRow]
    kind: str = "sft"
    method: str = "lora"
    accumulation: int = 1
    steps: int = 1
    move: float = 0.05
    folder: Path | None = None
    bf16: bool = False
    learning_rate: float = 1e-3
    batching: Mapping[str, Any] = field(default_factory=dict)

    def trainer(self, out: Path) -> Any:
        size = len(self.rows) // self.accumulation
        config = TrainConfig(
            method=self.method,
            r=4,
            alpha=8,
            batch_size=size,
            gradient_accumulation=self.accumulation,
            max_steps=self.steps,
            warmup_ratio=0,
            learning_rate=self.learning_rate,
            precision="bf16" if self.bf16 else "fp32",
            **self.batching,
        )
        model = load_base(self.base, config)
        tokenizer = AutoTokenizer.from_pretrained(self.base)
        if self.kind == "sft":
            return build_trainer(model, tokenizer, self.rows, out, config)
        return self._plain(model, config, out)

    def _plain(self, model: Any, config: TrainConfig, out: Path) -> Any:
        from peft import LoraConfig, get_peft_model

        if self.method == "lora":
            torch.manual_seed(config.seed)
            model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
        arguments = TrainingArguments(
            output_dir=str(out),
            max_steps=self.steps,
            per_device_train_batch_size=config.batch_size,
            gradient_accumulation_steps=self.accumulation,
            learning_rate=self.learning_rate,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            save_strategy="no",
            bf16=self.bf16,
        )
        rows = [{"input_ids": list(r.input_ids), "labels": list(r.labels)} for r in self.rows]

        def collator(batch):
            return collate([TokenRow(tuple(b["input_ids"]), tuple(b["labels"])) for b in batch], 0)

        return guarded(Trainer)(model=model, args=arguments, train_dataset=rows, data_collator=collator)

    def run(self, guards: Sequence[Any], out: Path) -> tuple[Any, Capture]:
        trainer = self.trainer(out)
        trainer.args.max_grad_norm = 0
        context = GuardContext(
            safety=self.safety,
            folder=self.folder,
            base=self.base,
            tokenizer=AutoTokenizer.from_pretrained(self.base),
        )
        attach(trainer, guards, context)
        capture = Capture(self.move)
        trainer.add_callback(capture)
        trainer.train()
        return trainer, capture


def expected(
    trainer: Any, weights: Gradients, loss: Callable[[Any], torch.Tensor]
) -> tuple[float, Gradients]:
    """Value and gradients of `loss(model)` at `weights`, by plain autograd."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.eval()
    for name, p in model.named_parameters():
        p.data.copy_(weights[name])
        p.grad = None
    value = loss(model)
    value.backward()
    return float(value), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def answer_logits(model: Any, row: TokenRow) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (tokens, vocabulary) and labels of one row, alone and unpadded."""
    out = model(input_ids=torch.tensor([row.input_ids]), use_cache=False).logits[0]
    places = [i for i, label in enumerate(row.labels) if label != IGNORE]
    logps = torch.stack([out[i - 1] - torch.logsumexp(out[i - 1], -1) for i in places])
    return logps, torch.tensor([row.labels[i] for i in places])


def base_model(base: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()


def nll(model: Any, rows: Sequence[TokenRow]) -> torch.Tensor:
    """Token-mean cross-entropy, row by row."""
    total, count = torch.zeros(()), 0
    for row in rows:
        logps, labels = answer_logits(model, row)
        total = total - sum(logps[t, labels[t]] for t in range(len(labels)))
        count += len(labels)
    return total / count


def kl_to_base(model: Any, base: Any, rows: Sequence[TokenRow]) -> torch.Tensor:
    """Token-mean KL(base || model), row by row."""
    total, count = torch.zeros(()), 0
    for row in rows:
        tuned, _ = answer_logits(model, row)
        with torch.no_grad():
            start, _ = answer_logits(base, row)
        total = total + (start.exp() * (start - tuned)).sum()
        count += len(tuned)
    return total / count


def assert_same(found: Gradients, wanted: Gradients, tolerance: float = 2e-5) -> None:
    assert found.keys() == wanted.keys()
    scale = max(float(g.abs().max()) for g in wanted.values())
    assert scale > 0
    for name, gradient in wanted.items():
        gap = float((found[name] - gradient).abs().max())
        assert gap < tolerance * max(scale, 1.0), f"{name}: {gap} of {scale}"
