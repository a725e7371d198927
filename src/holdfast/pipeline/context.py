"""What all stages of one run share: the project, its policy, and models that load once, if at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast import judges, models, suites
from holdfast.audit.policy import Policy, load_policy
from holdfast.pipeline.ui import Ui
from holdfast.project import Project

if TYPE_CHECKING:
    from holdfast.judges.base import Judge
    from holdfast.models.base import Generator
    from holdfast.suites.base import Suite


@dataclass(frozen=True)
class Context:
    """One run. Everything heavy is loaded on first use, so a run with nothing to do loads nothing."""

    project: Project
    ui: Ui

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.project.run_folder

    @cached_property
    def policy(self) -> Policy:
        """The policy the run is held to."""
        return load_policy(self.project.path(self.project.policy))

    @cached_property
    def base_ref(self) -> str:
        """The base model, as `models.load` takes it."""
        return self.project.ref(self.project.base)

    @cached_property
    def base_digest(self) -> str:
        """Digest of the base model's weights and tokenizer, without loading it."""
        return models.digest(self.base_ref)

    @cached_property
    def base(self) -> Generator:
        """The base model; its answers are cached, so each prompt is answered once per run."""
        return models.load(self.base_ref, cache=self.folder / "cache")

    def pair(self, tuned: Path) -> tuple[Generator, Generator]:
        """Base and tuned model, on one copy of the weights where the tuned one is an adapter."""
        return models.load_pair(self.base_ref, str(tuned), cache=self.folder / "cache")

    def suites(self, refs: Sequence[str]) -> tuple[Suite, ...]:
        """The suites that `refs` name."""
        return tuple(suites.load(self.project.ref(ref)) for ref in refs)

    @cached_property
    def development(self) -> tuple[Suite, ...]:
        """Suites to choose with."""
        return self.suites(self.project.suites.development)

    @cached_property
    def confirm(self) -> tuple[Suite, ...]:
        """Suites that are asked once, at the end."""
        return self.suites(self.project.suites.confirm)

    @cached_property
    def judges(self) -> tuple[Judge, ...]:
        """The judges; the first decides, the others are second opinions."""
        return tuple(judges.load(name) for name in self.project.judges)
