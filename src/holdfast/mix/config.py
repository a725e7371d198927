"""What a mix may be told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class MixConfig(BaseModel):
    """How many safety rows of what kind.

    Attributes:
        share: Safety rows per clean row (0.1 = one for ten).
        count: Number of safety rows; overrides `share`.
        lookalikes: Share of benign look-alikes, answered helpfully, among the safety rows.
        by: What `share` counts: rows, or tokens (words and marks, estimated).
        pool: At most so many prompts are asked, balanced over hazards.
        match_format: Share of the prompts put in the task's own dialect: its system prompts
            and what its requests begin and end with. Hand-written, own and deep rows too.
        match_answers: Also give the answers to those prompts the form of the task's answers (a
            JSON object, or words they begin and end with).
        handwritten: Add the shipped hand-written set to the pool.
        file: The user's own safety rows, any known format, added to the pool.
        deep: A file of exchanges with harmful answers; where the base refuses the request, the
            answer's beginning is followed by that refusal, which alone is trained on. Holdfast
            ships none.
        deep_share: Share of deep rows among the added refusals, where `deep` is given.
        deep_words: Most words of a started answer.
        max_new_tokens: Longest answer; cut-off answers are not used.
        seed: Seed of choice and order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(0.1, ge=0, le=10)
    count: int | None = Field(None, ge=0)
    lookalikes: float = Field(0.3, ge=0, lt=1)
    by: Literal["rows", "tokens"] = "rows"
    pool: int = Field(300, ge=1)
    match_format: float = Field(0.5, ge=0, le=1)
    match_answers: bool = False
    handwritten: bool = False
    file: Path | None = None
    deep: Path | None = None
    deep_share: float = Field(0.25, gt=0, lt=1)
    deep_words: int = Field(20, ge=1)
    max_new_tokens: int = Field(256, ge=1)
    seed: int = 0

    @property
    def files(self) -> tuple[Path, ...]:
        """The user's files that the mix reads besides the data."""
        return tuple(path for path in (self.file, self.deep) if path)

    def beside(self, folder: Path) -> MixConfig:
        """The settings with the paths in them taken from `folder`."""
        changes = {"file": self.file and folder / self.file, "deep": self.deep and folder / self.deep}
        return self.model_copy(update=changes)
