"""Train, audit and, where needed, repair the candidates; stop at the first that passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from holdfast import audit, formats, models, train
from holdfast.audit.triggers import found_triggers
from holdfast.conversation import Conversation
from holdfast.errors import InputError
from holdfast.files import digest_file, read_json
from holdfast.pipeline.context import Context
from holdfast.pipeline.data import Data, Rows, rows_for
from holdfast.pipeline.repairs import apply, label, slug
from holdfast.project import CandidateSection, RepairStep
from holdfast.stages import Finished, run_stage
from holdfast.suites.base import Suite
from holdfast.train import TrainConfig

_STYLE_ROWS = 1000  # enough to know the style of a data set
REFERENCE = CandidateSection(name="reference")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One tuned model and its development audit.

    Attributes:
        name: Candidate name, with the repair where there was one.
        weights: Folder of the tuned model (an adapter or a full checkpoint).
        digest: Digest of its weights.
        audit: `audit.json` of the development audit.
        folder: Folder of that audit.
        training: `train.json`.
        mixing: The mixing record, where safety rows were mixed into its training data.
        seconds: Training and audit time.
    """

    name: str
    weights: Path
    digest: str
    audit: dict[str, Any]
    folder: Path
    training: dict[str, Any]
    mixing: dict[str, Any] | None
    seconds: float

    @property
    def verdict(self) -> str:
        """Verdict of the development audit."""
        return str(self.audit["verdict"])

    def rate(self, axis: str, arm: str = "tuned") -> float | None:
        """The arm's rate on an axis, as `audit.json` gives it, or None if it was not measured."""
        return next((row[arm] for row in self.audit["axes"] if row["name"] == axis), None)


def attempts(ctx: Context, data: Data, *, guards: bool) -> Iterator[Attempt]:
    """Try the candidates in order of cost, then repairs of the safest one; stops with the caller."""
    tried: list[Attempt] = []
    for candidate in ctx.project.candidates:
        if not guards and candidate.guards:
            continue
        attempt = attempt_of(ctx, candidate, data)
        tried.append(attempt)
        yield attempt
    if not tried:
        raise InputError("every candidate has a guard, so nothing is left to try without guards")
    yield from _repaired(ctx, min(tried, key=_damage), data)


def reference(ctx: Context, data: Data) -> Attempt:
    """Plain training on the unscreened data: what would have happened. Never released."""
    return attempt_of(ctx, REFERENCE, data, Rows(data.raw, data.digests["raw"]))


def attempt_of(ctx: Context, candidate: CandidateSection, data: Data, rows: Rows | None = None) -> Attempt:
    """Train one candidate, on `rows` if they are given, and audit it on the development suites."""
    home = ctx.folder / "candidates" / candidate.name
    rows = rows or rows_for(ctx, data, candidate, home)
    config = ctx.project.training(candidate)
    needs_safety = bool(config.guards) or config.probe is not None
    inputs = {
        "data": rows.digest,
        "base": ctx.base_digest,
        "config": config.model_dump(mode="json"),
        "safety": data.digests["safety"] if needs_safety else "",
        "reads": _reads(config),
    }

    def work(folder: Path) -> None:
        with ctx.ui.progress(f"train {candidate.name}", None) as step:
            train.train(
                rows.file,
                base=ctx.base_ref,
                out=folder,
                config=config,
                safety=data.safety if needs_safety else None,
                progress=step,
            )

    trained = run_stage(home / "train", inputs, work)
    weights = trained.folder / ("adapter" if config.method == "lora" else "model")
    record = read_json(trained.folder / "train.json")
    return _audited(ctx, candidate.name, home, weights, record, rows.mixing, rows.seconds + trained.seconds)


def _reads(config: TrainConfig) -> list[str]:
    """Digests of what the settings name besides data and base."""
    template = config.chat_template
    if template and not template.is_file():
        raise InputError("no such file", path=template, fix="correct 'chat_template:' in the project file")
    files = [digest_file(template)] if template else []
    return files + [models.digest(folder) for folder in config.checkpoints]


def confirm(ctx: Context, attempt: Attempt) -> Finished:
    """Audit the chosen model once, on the suites that took no part in choosing it."""
    return audit_stage(
        ctx, ctx.folder / "confirm", f"confirm {attempt.name}", attempt.weights, attempt.digest, ctx.confirm
    )


def _repaired(ctx: Context, best: Attempt, data: Data) -> Iterator[Attempt]:
    for step in ctx.project.repair:
        name = f"{best.name}, {label(step)}"
        home = ctx.folder / "candidates" / f"{best.folder.parent.name}-{slug(step)}"
        inputs = {
            "tuned": best.digest,
            "base": ctx.base_digest,
            "step": step.model_dump(mode="json"),
            "safety": data.digests["safety"],
            "unaligned": ctx.unaligned_digest,
        }

        def work(folder: Path, step: RepairStep = step) -> None:
            apply(ctx, step, best.weights, data.safety, folder / best.weights.name)

        repaired = run_stage(home / "repair", inputs, work)
        weights = repaired.folder / best.weights.name
        yield _audited(ctx, name, home, weights, best.training, best.mixing, repaired.seconds)


def _audited(
    ctx: Context,
    name: str,
    home: Path,
    weights: Path,
    training: dict[str, Any],
    mixing: dict[str, Any] | None,
    seconds: float,
) -> Attempt:
    digest = models.digest(weights)
    done = audit_stage(ctx, home / "audit", f"audit {name}", weights, digest, ctx.development)
    return Attempt(
        name=name,
        weights=weights,
        digest=digest,
        audit=read_json(done.folder / "audit.json"),
        folder=done.folder,
        training=training,
        mixing=mixing,
        seconds=seconds + done.seconds,
    )


def audit_stage(
    ctx: Context, folder: Path, label: str, weights: Path, digest: str, suites: tuple[Suite, ...]
) -> Finished:
    """Audit base and tuned model as a stage of the run."""
    triggers = _triggers(ctx)
    inputs = {
        "base": ctx.base_digest,
        "tuned": digest,
        "policy": ctx.policy.digest,
        "triggers": triggers,
        "suites": [suite.digest for suite in suites],
        "judges": list(ctx.project.judges),
    }

    def work(out: Path) -> None:
        base, tuned = ctx.pair(weights)
        asked: dict[str, Any] = {
            "policy": ctx.policy,
            "suites": suites,
            "judges": ctx.judges,
            "tuning_data": _tuning_rows(ctx),
            "triggers": triggers,
        }
        total = audit.work(audit.prepare(base, tuned, **asked))
        with ctx.ui.progress(label, total) as step:
            audit.audit(base, tuned, **asked, out=out, progress=step)

    return run_stage(folder, inputs, work)


def _triggers(ctx: Context) -> list[str] | None:
    """Triggers that the screen named in the data, where the policy probes with triggers."""
    if "triggers" not in ctx.policy.probes:
        return None
    reports = sorted((ctx.folder / "screen").glob("*/screen.json"))
    return list(dict.fromkeys(phrase for path in reports for phrase in found_triggers(path)))


def _tuning_rows(ctx: Context) -> list[Conversation]:
    """Rows of the tuning data, where the policy asks in their style."""
    if "rewording" not in ctx.policy.probes:
        return []
    return list(islice(formats.read(ctx.folder / "screen" / "clean.jsonl"), _STYLE_ROWS))


def _damage(attempt: Attempt) -> tuple[float, float]:
    """How much safety an attempt lost; what it learned breaks ties."""
    return (attempt.rate("harm") or 0.0, -(attempt.rate("task") or 0.0))
