"""A repair step of the project file, applied to a tuned model."""

from __future__ import annotations

from pathlib import Path

from holdfast import repair
from holdfast.models.folder import resolve
from holdfast.models.refs import parse_ref
from holdfast.pipeline.context import Context
from holdfast.project import PatchStep, RepairStep, RestaStep, RestoreStep, SafeLoraStep, ScaleStep


def label(step: RepairStep) -> str:
    """The step as people read it."""
    return f"scaled {step.alpha:g}" if isinstance(step, ScaleStep) else step.method


def slug(step: RepairStep) -> str:
    """The step as a folder name; steps of one method differ in their settings."""
    settings = step.model_dump(exclude={"method"})
    return "-".join([step.method, *(f"{value:g}" for value in settings.values())])


def apply(ctx: Context, step: RepairStep, tuned: Path, safety: Path, out: Path) -> None:
    """Write the repaired model to `out`: an adapter for an adapter, a checkpoint for a checkpoint."""
    base = resolve(parse_ref(ctx.base_ref))
    if isinstance(step, ScaleStep):
        if (tuned / "adapter_config.json").exists():
            repair.scale(tuned, step.alpha, out)
        else:
            repair.interpolate(tuned, base, step.alpha, out)
    elif isinstance(step, PatchStep):
        repair.patch(tuned, base, safety, out, epochs=step.epochs, learning_rate=step.learning_rate)
    elif isinstance(step, RestoreStep):
        repair.restore(tuned, base, safety, out, share=step.share, steps=step.steps)
    elif isinstance(step, RestaStep):
        repair.resta(tuned, base, _unaligned(ctx), out, gamma=step.gamma, drop=step.drop)
    elif isinstance(step, SafeLoraStep):
        repair.safelora(tuned, base, _unaligned(ctx), out, threshold=step.threshold)


def _unaligned(ctx: Context) -> Path:
    assert ctx.project.unaligned is not None, "checked when the project was read"
    return resolve(parse_ref(ctx.project.ref(ctx.project.unaligned)))
