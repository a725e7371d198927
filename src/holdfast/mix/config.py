"""What a mix may be told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MixConfig(BaseModel):
    """How many safety rows of what kind.

    Attributes:
        share: Safety rows per clean row (0.1 = one for ten).
        count: Number of safety rows; overrides `share`.
        lookalikes: Share of benign look-alikes, answered helpfully, among the safety rows.
        pool: At most so many prompts are asked, balanced over hazards.
        max_new_tokens: Longest answer; cut-off answers are not used.
        seed: Seed of choice and order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(0.1, ge=0, le=10)
    count: int | None = Field(None, ge=0)
    lookalikes: float = Field(0.3, ge=0, lt=1)
    pool: int = Field(300, ge=1)
    max_new_tokens: int = Field(256, ge=1)
    seed: int = 0
