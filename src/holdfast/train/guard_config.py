"""Settings of the guards: what each may be told; the formulas are in the modules of `guards/`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


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


class Constrained(Settings):
    """Constrained SFT (METHODS: Qi et al., ICLR 2025); needs no safety rows.

    Attributes:
        beta_first: Strength at the first answer token.
        beta_early: Strength at the second to fifth.
        beta_rest: Strength at later ones; a small value is close to plain training.
        min_weight: Floor of the token weights.
    """

    name: Literal["constrained"] = "constrained"
    beta_first: float = Field(0.5, gt=0)
    beta_early: float = Field(2.0, gt=0)
    beta_rest: float = Field(0.1, gt=0)
    min_weight: float = Field(1e-3, ge=0)


class SafeGrad(Settings):
    """Project the task gradient off the alignment gradient (arXiv 2508.07172).

    Attributes:
        weight: Multiple of the alignment gradient that is added; 0 = projection alone.
        batch_size: Safety rows per optimiser step; default a quarter of the training batch.
        top_k: As for `kl_anchor`.
        memory_mb: As for `kl_anchor`.
    """

    name: Literal["safegrad"] = "safegrad"
    weight: float = Field(1.0, ge=0)
    batch_size: int | None = Field(None, ge=1)
    top_k: int | None = Field(None, ge=0)
    memory_mb: int = Field(256, ge=1)


class Lisa(Settings):
    """Alternate between user data and safety rows with a proximal term (NeurIPS 2024).

    Attributes:
        align_steps: Steps on safety rows per cycle; default a tenth of the cycle.
        user_steps: Steps on the user's rows per cycle; default ten cycles in the run,
            at most 1,000 steps each.
        rho: Strength of the proximal term.
    """

    name: Literal["lisa"] = "lisa"
    align_steps: int | None = Field(None, ge=1)
    user_steps: int | None = Field(None, ge=1)
    rho: float = Field(1.0, ge=0)


class EMA(Settings):
    """Average the weights over the run.

    Attributes:
        decay: Weight of the past at every step.
    """

    name: Literal["ema"] = "ema"
    decay: float = Field(0.995, gt=0, lt=1)


class Freeze(Settings):
    """Leave some layers untrained.

    Attributes:
        layers: Their numbers, from 0; empty = found from the safety rows.
        share: Share of the layers to freeze when they are found.
    """

    name: Literal["freeze"] = "freeze"
    layers: tuple[int, ...] = ()
    share: float = Field(0.25, gt=0, lt=1)


class AsFT(Settings):
    """Penalise updates outside the alignment direction (AAAI 2026).

    Attributes:
        unaligned: Checkpoint of the base before alignment.
        weight: Multiplier of the penalty.
        rank_share: Share of the singular directions of the alignment update that are free.
    """

    name: Literal["asft"] = "asft"
    unaligned: Path
    weight: float = Field(1.0, gt=0)
    rank_share: float = Field(0.1, gt=0, le=1)


class TokenWeights(Settings):
    """Weight every answer token by how safe a judge finds the answer so far (STAR-DSS form).

    Attributes:
        judge: Name of the judge.
        stride: The growing answer is judged every so many tokens.
        kl: Add `(1 - s) KL(base || tuned)`; needs an adapter.
        mask_below: Tokens less safe than this count nothing.
    """

    name: Literal["token_weights"] = "token_weights"
    judge: str = "embedded"
    stride: int = Field(8, ge=1)
    kl: bool = True
    mask_below: float = Field(0.0, ge=0, le=1)


Guard = Annotated[
    KLAnchor | Constrained | SafeGrad | Lisa | EMA | Freeze | AsFT | TokenWeights,
    Field(discriminator="name"),
]
