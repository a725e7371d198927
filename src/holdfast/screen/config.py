"""The `screen:` section of `holdfast.yaml`: which rules run and what their findings ask for."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from holdfast.errors import InputError
from holdfast.screen.base import Finding, Severity
from holdfast.yamlfile import line_of, load_yaml


class RuleSettings(BaseModel):
    """Settings of one rule or one family.

    Attributes:
        severity: Replaces the rule's own severity.
        review: Findings that score lower than this become notes.
        block: Findings that score at least this block, whatever the rule said.
        options: Thresholds and lists of the rule itself; see its page.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Severity | None = None
    review: float | None = Field(default=None, ge=0, le=1)
    block: float | None = Field(default=None, ge=0, le=1)
    options: dict[str, Any] = Field(default_factory=dict)


class ScreenConfig(BaseModel):
    """What is screened for, and what happens to the rows.

    Attributes:
        select: Codes or families to run (`ID`, `EN101`); empty means all.
        ignore: Codes or families not to run; wins over `select` of the same length.
        per_file_ignores: File pattern to codes or families that are ignored in such files.
        rules: Settings by code or family; a code wins over its family.
        context_tokens: The model's context length, for the truncation rules; None = unknown.
        model: Reference of the model to be tuned, for the rules that look into it.
        against: Audit suites (names or files) whose prompts must not be trained on.
        epochs: Epochs of the planned training, for the dose estimate.
        learning_rate: Its peak learning rate, if known.
        max_row_bytes: Longer rows are not parsed: a finding, and quarantine.
        judge_answers: Folder where a guard's replies are kept, so that none is asked for twice; None
            keeps them in the output folder until the run is finished.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rules: dict[str, RuleSettings] = Field(default_factory=dict)
    context_tokens: int | None = Field(default=None, gt=0)
    model: str | None = None
    against: tuple[str, ...] = ()
    epochs: float = Field(default=3.0, gt=0)
    learning_rate: float | None = Field(default=None, gt=0)
    max_row_bytes: int = Field(default=32 << 20, gt=0)
    judge_answers: Path | None = None

    def runs(self, code: str, path: str = "") -> bool:
        """Whether a rule runs on a file: of `select` and `ignore` the longer prefix decides.

        Findings of the reader (`FM0xx`) need not be selected: a row that cannot be read must not
        pass as clean because another family was asked for.
        """
        for pattern, codes in self.per_file_ignores.items():
            matches = fnmatch(path, pattern) or fnmatch(PurePath(path).name, pattern)
            if path and matches and _longest(code, codes) >= 0:
                return False
        chosen = _longest(code, self.select) if self.select and not code.startswith("FM0") else 0
        return chosen > -1 and chosen > _longest(code, self.ignore)

    def settings(self, code: str) -> RuleSettings:
        """Settings of a code: its own over those of its family."""
        merged: dict[str, Any] = {}
        for prefix in sorted(self.rules, key=len):
            if code.startswith(prefix):
                merged.update(self.rules[prefix].model_dump(exclude_unset=True))
        return RuleSettings(**merged)

    def severity(self, finding: Finding) -> Severity:
        """What a finding asks for under this configuration."""
        settings = self.settings(finding.code)
        if settings.block is not None and finding.score >= settings.block:
            return Severity.BLOCK
        if settings.review is not None and finding.score < settings.review:
            return Severity.NOTE
        return settings.severity or finding.severity


class _File(BaseModel):
    """A `holdfast.yaml` of which only one section is looked at."""

    screen: ScreenConfig = ScreenConfig()


def load_config(path: str | Path) -> ScreenConfig:
    """Read the `screen:` section of a `holdfast.yaml`.

    Raises:
        InputError: The file is missing, is not YAML, or the section has an unknown key, code or
            threshold or a wrong type; names the line.
    """
    from holdfast.screen.ruleset import mistakes  # which knows the rules, which know this class

    config = load_yaml(path, _File).screen
    for mistake in mistakes(config):
        line = line_of(path, ("screen", *mistake.place))
        raise InputError(mistake.message, path=path, line=line, fix=mistake.fix)
    return config


def _longest(code: str, prefixes: tuple[str, ...] | list[str]) -> int:
    return max((len(p) for p in prefixes if code.startswith(p)), default=-1)
