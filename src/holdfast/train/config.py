"""What a training run may be told: one typed object, checked before anything is loaded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """A settings object that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KLAnchor(Settings):
    """Keep the answers on safety rows: `weight * KL(base || tuned)` on a separate small batch.

    Attributes:
        weight: Multiplier of the divergence; 1 to 3 work on the lab model.
        batch_size: Safety rows per micro-batch; default a quarter of the training batch.
        top_k: Vocabulary entries of the base kept per position, the rest as one bucket;
            0 = all of them. Default: all while the table fits `memory_mb`, else 256.
        memory_mb: Room for the table of base log-probabilities.
        every: Apply the guard at every n-th micro-batch, with n times the weight.
    """

    name: Literal["kl_anchor"] = "kl_anchor"
    weight: float = Field(1.0, gt=0)
    batch_size: int | None = Field(None, ge=1)
    top_k: int | None = Field(None, ge=0)
    memory_mb: int = Field(256, ge=1)
    every: int = Field(1, ge=1)


Guard = Annotated[KLAnchor, Field(discriminator="name")]


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
        max_grad_norm: Gradient clipping.
        weight_decay: AdamW weight decay.
        seed: Seed of initialisation, order and dropout.
        precision: `auto` = bf16 on a GPU that has it, else fp32.
        gradient_checkpointing: Recompute activations; default on a GPU only.
        save_steps: A checkpoint every so many steps; default a tenth of the run, at least 10.
        logging_steps: A point of the loss curve every so many steps; default 1 % of the run.
        guards: The guards, in the order in which they are applied.
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
    max_grad_norm: float = Field(1.0, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    gradient_checkpointing: bool | None = None
    save_steps: int | None = Field(None, ge=1)
    logging_steps: int | None = Field(None, ge=1)
    guards: tuple[Guard, ...] = ()

    @model_validator(mode="after")
    def _one_of_each(self) -> TrainConfig:
        names = [guard.name for guard in self.guards]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"guard listed twice: {', '.join(twice)}")
        return self
