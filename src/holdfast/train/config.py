"""What a training run may be told: one typed object, checked before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from holdfast.train.guard_config import EMA, AsFT, Guard, Settings


class Probe(Settings):
    """Watch refusal during training; needs safety rows.

    Attributes:
        every: Optimiser steps between measurements; default a twentieth of the run, at least 50. The
            last step is measured too.
        prompts: At most so many refused and so many benign prompts.
        generate: Prompts of each kind that are also answered (0 = none).
        max_new_tokens: Length of those answers.
        layer: Place of the refusal direction, as a share of the depth.
        max_drop: Alarm when the mean refusal log-odds fall by more than this (nats).
        max_lost: Alarm when the share of refused prompts falls by more than this.
        act: What an alarm does: `warn`, `stop`, or `rollback` (stop at the last good weights).
    """

    every: int | None = Field(None, ge=1)
    prompts: int = Field(24, ge=1)
    generate: int = Field(8, ge=0)
    max_new_tokens: int = Field(12, ge=1)
    layer: float = Field(0.6, gt=0, le=1)
    max_drop: float = Field(3.0, gt=0)
    max_lost: float = Field(0.2, gt=0, le=1)
    act: Literal["warn", "stop", "rollback"] = "warn"


class TrainConfig(Settings):
    """How to fine-tune.

    Attributes:
        method: `lora` trains a PEFT adapter, `full` every weight.
        r: Rank of the adapter.
        alpha: Scale of the adapter (its update is multiplied by `alpha / r`).
        dropout: Dropout of the adapter's input.
        target_modules: Names of the adapted modules; `all-linear` = every linear layer but the head.
        learning_rate: Peak learning rate.
        epochs: Passes over the data.
        max_steps: Optimiser steps; overrides `epochs` when given.
        batch_size: Rows per micro-batch.
        gradient_accumulation: Micro-batches per optimiser step.
        warmup_ratio: Share of the steps with a rising learning rate.
        scheduler: Name of a transformers learning-rate schedule.
        max_length: Longest row in tokens; default the model's context, at most 2,048.
        padding_free: Lay the rows of a micro-batch end to end instead of padding them.
        packing: Fill sequences up to `max_length` with whole rows; `batch_size` then counts
            sequences. Implies `padding_free`.
        max_grad_norm: Gradient clipping.
        weight_decay: AdamW weight decay.
        adam_beta1: AdamW momentum; constrained SFT was published with 0.5.
        adam_beta2: AdamW second moment.
        seed: Seed of initialisation, order and dropout.
        quantise: Load the base in `4bit` (NF4, QLoRA: Dettmers et al., NeurIPS 2023) or `8bit` through
            bitsandbytes; LoRA only.
        precision: `auto` = bf16 on a GPU that has it, else fp32.
        gradient_checkpointing: Recompute activations; default on a GPU only.
        save_steps: A checkpoint every so many steps; default a tenth of the run, at least 10.
        logging_steps: A point of the loss curve every so many steps; default 1 % of the run.
        report_to: Loggers of transformers that get loss, guards and probe besides the record
            (`tensorboard`, `wandb`, `mlflow` ...).
        shuffle: Draw the rows at random; false keeps the file's order, in which a mix spreads its
            safety rows evenly over the batches.
        gentle: Half the learning rate, twice the batch, and averaged weights (`ema`).
        drop_system: Leave system turns out of the training rows (PTST: train without the
            safety prompt, serve with it).
        chat_template: A Jinja template file used for training instead of the base's own.
        guards: The guards, in the order in which they are applied.
        probe: Watch refusal during training.
    """

    method: Literal["lora", "full"] = "lora"
    r: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"
    learning_rate: float = Field(2e-4, gt=0)
    epochs: float = Field(3.0, gt=0)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(8, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    warmup_ratio: float = Field(0.05, ge=0, lt=1)
    scheduler: str = "linear"
    max_length: int | None = Field(None, ge=8)
    padding_free: bool = False
    packing: bool = False
    max_grad_norm: float = Field(1.0, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    seed: int = 0
    quantise: Literal["no", "8bit", "4bit"] = "no"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    gradient_checkpointing: bool | None = None
    save_steps: int | None = Field(None, ge=1)
    logging_steps: int | None = Field(None, ge=1)
    report_to: tuple[str, ...] = ()
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    shuffle: bool = True
    gentle: bool = False
    drop_system: bool = False
    chat_template: Path | None = None
    guards: tuple[Guard, ...] = ()
    probe: Probe | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> TrainConfig:
        names = [guard.name for guard in self.guards]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"guard listed twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _quantised_lora(self) -> TrainConfig:
        if self.quantise != "no" and self.method == "full":
            raise ValueError("quantised weights cannot be trained in full: use method: lora")
        return self

    @model_validator(mode="after")
    def _packing_shuffles(self) -> TrainConfig:
        if self.packing and not self.shuffle:
            raise ValueError("packing puts rows into an order of its own: set shuffle: true, or padding_free")
        return self

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """Folders whose weights the guards read besides the base's."""
        return tuple(guard.unaligned for guard in self.guards if isinstance(guard, AsFT))

    def beside(self, folder: Path) -> TrainConfig:
        """The settings with the paths in them taken from `folder`."""
        guards = tuple(
            guard.model_copy(update={"unaligned": folder / guard.unaligned})
            if isinstance(guard, AsFT)
            else guard
            for guard in self.guards
        )
        template = self.chat_template and folder / self.chat_template
        return self.model_copy(update={"guards": guards, "chat_template": template})

    def effective(self) -> TrainConfig:
        """The settings with `gentle` worked in."""
        if not self.gentle:
            return self
        guards = self.guards if any(g.name == "ema" for g in self.guards) else (*self.guards, EMA())
        changes = {
            "gentle": False,
            "learning_rate": self.learning_rate / 2,
            "gradient_accumulation": self.gradient_accumulation * 2,
            "guards": guards,
        }
        return self.model_copy(update=changes)
