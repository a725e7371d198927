"""The mixing record: what was added, from where, and which suites are barred from the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from holdfast.files import read_json, write_json


class BarredSuite(BaseModel):
    """A suite or file whose prompts went into training; it must not decide about the result."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    digest: str
    asked: int
    kept: int


class MixRecord(BaseModel):
    """The record of one mix, `mix.json`.

    Attributes:
        mixed: The file to train on; `safety`: the safety rows alone, for guards.
        clean_rows: Rows of the user's data; `mixed_rows`: all rows of the mixed file.
        left_out: Undesired rows of labelled preference data, which are not trained on.
        pool: Safety rows found, by kind (`refuse`, `lookalike`, `deep`).
        added: Safety rows mixed in, by kind; a row can be added more than once.
        outcomes: What became of every answer asked for, by kind and verdict.
        safety_lines: Lines of the mixed file that are safety rows, counted from 1.
        barred: The suites and files used. `holdfast audit --mix` and `holdfast gate --mix` refuse a
            suite with one of these digests.
        prompts: Digests of the prompts behind the safety rows; a suite that asks one of them is
            refused as well, whatever it is called. Empty in records of before this field.
        dialect: What was learnt of the task's format and used for a share of the prompts.
        base: Identity of the model that answered; `judge`: name and version of the judge.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = 1
    mixed: str
    safety: str
    clean_rows: int
    left_out: int
    mixed_rows: int
    pool: dict[str, int]
    added: dict[str, int]
    outcomes: dict[str, dict[str, int]]
    hazards: dict[str, int]
    safety_lines: list[int]
    barred: list[BarredSuite]
    prompts: list[str] = []
    dialect: dict[str, Any]
    base: dict[str, str]
    judge: str
    config: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the record atomically."""
        write_json(path, self.model_dump())

    @classmethod
    def load(cls, path: Path) -> MixRecord:
        """Read a record back."""
        return cls.model_validate(read_json(path))
