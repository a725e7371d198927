"""Audits as the measure of a search, and the methods by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import InputError
from holdfast.models.folder import is_adapter
from holdfast.repair import guided, interpolation, safety_vector, scaling
from holdfast.repair.record import RepairRecord
from holdfast.repair.safelora import safelora, safemerge
from holdfast.repair.search import Candidate, Evaluate, Measured, Search, search, search_alpha

if TYPE_CHECKING:
    from holdfast.audit import Policy
    from holdfast.judges import Judge
    from holdfast.suites import Suite

METHODS: dict[str, Callable[..., RepairRecord]] = {
    "interpolate": interpolation.interpolate,
    "lox": safety_vector.lox,
    "merge": interpolation.merge,
    "patch": guided.patch,
    "resta": safety_vector.resta,
    "restore": guided.restore,
    "safelora": safelora,
    "safemerge": safemerge,
    "scale": scaling.scale,
}
# In order of cost: a file operation, one that reads a second checkpoint, one with gradients.
_LADDER = (("resta", 1.0), ("safelora", 2.0), ("patch", 3.0), ("restore", 4.0))


def repair(method: str, *args: Any, **settings: Any) -> RepairRecord:
    """Run a repair by name; the arguments are those of the function of that name.

    Raises:
        InputError: No such method.
    """
    if method not in METHODS:
        raise InputError(f"no repair named '{method}'", fix=f"one of {', '.join(METHODS)}")
    return METHODS[method](*args, **settings)


def evaluator(
    base: str | Path, *, policy: Policy, suites: Sequence[Suite], judges: Sequence[Judge], out: Path
) -> Evaluate:
    """An `evaluate` for `search`: audits a model folder against the base.

    Scores are one minus the share of bad outcomes, per audit row. Each model's evidence lies in a
    folder of its own under `out`; an unfinished one is continued.
    """
    from holdfast import audit, models

    def evaluate(model: Path) -> Measured:
        pair = models.load_pair(base, model)
        folder = out / model.name
        report = audit.audit(*pair, policy=policy, suites=suites, judges=judges, out=folder)
        scores = {row.name: 1.0 - row.tuned for row in report.axes}
        return Measured(report.verdict == "pass", scores, str(folder))

    return evaluate


def search_scales(
    tuned: Path,
    base: Path,
    out: Path,
    evaluate: Evaluate,
    *,
    steps: int = 4,
    confirm: Evaluate | None = None,
) -> Search:
    """Search the largest passing scale of an adapter or checkpoint; models go to `out`."""

    def make(alpha: float) -> Path:
        return tuned if alpha == 1.0 else _scaled(tuned, base, out, alpha, 0.0).make()

    return search_alpha(make, evaluate, steps=steps, confirm=confirm)


def search_methods(
    tuned: Path,
    base: Path,
    out: Path,
    evaluate: Evaluate,
    *,
    unaligned: Path | None = None,
    safety: Path | None = None,
    scales: Sequence[float] = (0.9, 0.75, 0.5),
    confirm: Evaluate | None = None,
) -> Search:
    """Try the tuned model itself, scales, and every method whose inputs are given, by cost.

    Args:
        tuned: Adapter or checkpoint.
        base: The aligned checkpoint it was trained from.
        out: Folder for the candidates' models.
        evaluate: Audits one, on development suites.
        unaligned: Enables RESTA and SafeLoRA.
        safety: Safety rows; enables the patch and gradient-guided restoring.
        scales: Scales to try, gentlest first.
        confirm: Audits the chosen one on suites never used.
    """
    ways: list[Candidate] = [Candidate("as trained", lambda: tuned, 0.0)]
    for index, alpha in enumerate(scales):
        ways.append(_scaled(tuned, base, out, alpha, 0.1 + index / 100))
    given: dict[str, tuple[Path, ...]] = {}
    if unaligned is not None:
        given |= {"resta": (unaligned,), "safelora": (unaligned,)}
    if safety is not None:
        given |= {"patch": (safety,), "restore": (safety,)}
    for method, cost in _LADDER:
        if method in given:
            ways.append(_method(method, tuned, base, out, given[method], cost))
    return search(ways, evaluate, confirm=confirm)


def _scaled(tuned: Path, base: Path, out: Path, alpha: float, cost: float) -> Candidate:
    target = out / f"scale-{alpha:g}"

    def make() -> Path:
        if is_adapter(tuned):
            return Path(scaling.scale(tuned, alpha, target).output)
        return Path(interpolation.interpolate(tuned, base, alpha, target).output)

    return Candidate(f"scale {alpha:g}", make, cost)


def _method(
    method: str, tuned: Path, base: Path, out: Path, inputs: tuple[Path, ...], cost: float
) -> Candidate:
    def make() -> Path:
        return Path(METHODS[method](tuned, base, *inputs, out / method).output)

    return Candidate(method, make, cost)
