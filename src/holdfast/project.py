"""The project file `holdfast.yaml`: what goes in, what is tried, what must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from holdfast.errors import InputError
from holdfast.mix import MixConfig
from holdfast.screen import ScreenConfig
from holdfast.train import TrainConfig
from holdfast.yamlfile import load_yaml

FILE = "holdfast.yaml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SuitesSection(_Section):
    """Suites by use. `confirm` suites are asked once, at the end, and never used to choose."""

    requests: tuple[str, ...] = ("builtin:hazards", "builtin:lookalikes")
    development: tuple[str, ...]
    confirm: tuple[str, ...]


class CandidateSection(_Section):
    """One way to train, in order of cost.

    Attributes:
        name: Its name in the report.
        mix: Whether safety rows are mixed into the training data, in the share that `mix:` names;
            a number is a share of this candidate's own.
        guards: Guards as `train:` takes them, such as `{name: kl_anchor, weight: 3}`.
        train: Keys that replace those of the `train:` section.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    mix: bool | Annotated[float, Field(gt=0, le=10)] = False
    guards: tuple[dict[str, Any], ...] = ()
    train: dict[str, Any] = Field(default_factory=dict)


class ScaleStep(_Section):
    """Scale the update: `base + alpha * (tuned - base)`."""

    method: Literal["scale"]
    alpha: float = Field(gt=0, lt=1)


class PatchStep(_Section):
    """A few passes over safety rows."""

    method: Literal["patch"]
    epochs: int = Field(3, ge=1)
    learning_rate: float = Field(1e-4, gt=0)


class RestoreStep(_Section):
    """Restore the weights whose restoring helps refusals most."""

    method: Literal["restore"]
    share: float = Field(0.002, gt=0, le=1)
    steps: int = Field(20, ge=1)


class RestaStep(_Section):
    """Add the safety vector `base - unaligned`; needs `unaligned:`."""

    method: Literal["resta"]
    gamma: float = Field(0.5, gt=0)
    drop: float = Field(0.0, ge=0, lt=1)


class SafeLoraStep(_Section):
    """Project updates that leave the alignment subspace; needs `unaligned:`."""

    method: Literal["safelora"]
    threshold: float = Field(0.5, ge=-1, le=1)


RepairStep = Annotated[
    ScaleStep | PatchStep | RestoreStep | RestaStep | SafeLoraStep, Field(discriminator="method")
]
DEFAULT_REPAIRS: tuple[ScaleStep, ...] = tuple(
    ScaleStep(method="scale", alpha=alpha) for alpha in (0.9, 0.8, 0.7, 0.6, 0.5)
)


DEFAULT_CANDIDATES = (
    CandidateSection(name="plain"),
    CandidateSection(name="kl-anchor", guards=({"name": "kl_anchor", "weight": 3.0},)),
    CandidateSection(name="mix-anchor", mix=0.5, guards=({"name": "kl_anchor", "weight": 3.0},)),
)


class Project(_Section):
    """A guarded run, as `holdfast.yaml` describes it. Paths are relative to that file."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    base: str
    data: tuple[str, ...]
    decisions: str | None = None
    incidents: str | None = Field(None, description="folder of `holdfast watch confirm`, if there is one")
    policy: str = "policy.yaml"
    judges: tuple[str, ...] = ("embedded", "keyword")
    suites: SuitesSection
    screen: ScreenConfig = ScreenConfig()
    mix: MixConfig = MixConfig()
    train: TrainConfig = TrainConfig()
    candidates: tuple[CandidateSection, ...] = DEFAULT_CANDIDATES
    reference: bool = Field(
        False, description="also train plainly on the unscreened data, to show what the screen changed"
    )
    repair: tuple[RepairStep, ...] = Field(
        DEFAULT_REPAIRS, description="what to do to the safest candidate when none passes, in order of cost"
    )
    unaligned: str | None = Field(None, description="the base before its alignment, where a repair needs it")
    runs: str = "runs"
    folder: Path = Field(Path(), exclude=True)

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("data")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("names no file")
        return value

    @field_validator("candidates")
    @classmethod
    def _distinct(cls, value: tuple[CandidateSection, ...]) -> tuple[CandidateSection, ...]:
        names = [candidate.name for candidate in value]
        if not names or len(set(names)) < len(names):
            raise ValueError("needs at least one candidate, each with a name of its own")
        return value

    @model_validator(mode="after")
    def _has_unaligned(self) -> Project:
        needy = [step.method for step in self.repair if isinstance(step, RestaStep | SafeLoraStep)]
        if needy and self.unaligned is None:
            raise ValueError(f"repair '{needy[0]}' needs 'unaligned:', the base before its alignment")
        return self

    @model_validator(mode="after")
    def _trainable(self) -> Project:
        for candidate in self.candidates:
            try:
                self.training(candidate)
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join(str(part) for part in first["loc"])
                raise ValueError(f"candidate '{candidate.name}', {key}: {first['msg']}") from None
        return self

    def training(self, candidate: CandidateSection) -> TrainConfig:
        """The `train:` section with the candidate's own keys and guards, its paths made absolute."""
        values = self.train.model_dump(mode="python", exclude_unset=True) | candidate.train
        if candidate.guards:
            values["guards"] = candidate.guards
        return TrainConfig.model_validate(values).beside(self.folder)

    @property
    def mixing(self) -> MixConfig:
        """The `mix:` section, its paths made absolute."""
        return self.mix.beside(self.folder)

    def path(self, name: str) -> Path:
        """A path of the file, made absolute."""
        return (self.folder / name).resolve()

    def ref(self, name: str) -> str:
        """A model or suite reference: a path of this project if there is one, else as written."""
        return str(self.path(name)) if ":" not in name and self.path(name).exists() else name

    @property
    def run_folder(self) -> Path:
        """Where the run's stages are."""
        return self.path(self.runs) / self.name


def load_project(where: str | Path = FILE) -> Project:
    """Read a project file, or the `holdfast.yaml` of a folder.

    Raises:
        InputError: No such file, or something wrong in it; names the line and the fix.
    """
    path = Path(where)
    if path.is_dir():
        path = path / FILE
    if not path.exists():
        raise InputError(
            "no project file here", path=path, fix="holdfast init writes a commented one; or name a project"
        )
    return load_yaml(path, Project).model_copy(update={"folder": path.resolve().parent})
