"""What all stages of one run share: the project, its policy, and models that load once, if at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast import judges, models, suites
from holdfast.audit.policy import Policy, load_policy
from holdfast.files import digest_value, read_json
from holdfast.pipeline.ui import Ui
from holdfast.project import Project

if TYPE_CHECKING:
    from holdfast.judges.base import Judge
    from holdfast.models.base import Generator
    from holdfast.suites.base import Suite, SuitePrompt


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
    def unaligned_digest(self) -> str:
        """Digest of the base before its alignment; empty where the project names none."""
        return models.digest(self.project.ref(self.project.unaligned)) if self.project.unaligned else ""

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
    def requests(self) -> tuple[Suite, ...]:
        """Suites whose prompts the base model answers for the safety rows."""
        return self.suites(self.project.suites.requests) + self._incidents[0]

    @cached_property
    def development(self) -> tuple[Suite, ...]:
        """Suites to choose with."""
        return self.suites(self.project.suites.development) + self._incidents[1]

    @cached_property
    def _incidents(self) -> tuple[tuple[Suite, ...], tuple[Suite, ...]]:
        """Confirmed incidents of live traffic: one half to learn from, the other to be asked."""
        if self.project.incidents is None:
            return (), ()
        newest = self.project.path(self.project.incidents) / "private.json"
        private = suites.load(newest.parent / read_json(newest)["suite"])
        halves = split(private)
        return tuple(s for s in halves[:1] if s.prompts), tuple(s for s in halves[1:] if s.prompts)

    @cached_property
    def confirm(self) -> tuple[Suite, ...]:
        """Suites that are asked once, at the end."""
        return self.suites(self.project.suites.confirm)

    @cached_property
    def judges(self) -> tuple[Judge, ...]:
        """The judges; the first decides, the others are second opinions."""
        return tuple(judges.load(name) for name in self.project.judges)


def split(private: Suite) -> tuple[Suite, Suite]:
    """Cut a suite in two by the hash of each cluster, so that a prompt stays on its side for good."""

    def side(prompt: SuitePrompt) -> int:
        return int(digest_value(prompt.cluster or [m.content for m in prompt.messages])[:8], 16) % 2

    mixed, asked = (tuple(p for p in private.prompts if side(p) == half) for half in (0, 1))
    return (
        replace(private, name=f"{private.name}-mixed", prompts=mixed),
        replace(private, name=f"{private.name}-asked", prompts=asked),
    )
