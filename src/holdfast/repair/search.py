"""Choose by measurement: candidates in order of cost, a Pareto front, the first that passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import InputError

Evaluate = Callable[[Path], "Measured"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What an audit found of one model.

    Attributes:
        passed: Whether it passes the gate.
        scores: Axis to value, higher is better (safety, over-refusal kept low, capability, task).
        evidence: Where the audit lies.
    """

    passed: bool
    scores: dict[str, float]
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to repair.

    Attributes:
        name: For people.
        make: Builds the repaired model and gives its folder.
        cost: Any unit; candidates are tried from the cheapest.
    """

    name: str
    make: Callable[[], Path]
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate that was built and audited."""

    name: str
    cost: float
    model: str
    measured: Measured

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "cost": self.cost,
            "model": self.model,
            "passed": self.measured.passed,
            "scores": self.measured.scores,
            "evidence": self.measured.evidence,
        }


@dataclass(slots=True)
class Search:
    """The result of a search.

    Attributes:
        trials: What was tried, in order.
        chosen: The first that passed and, where a confirmation was asked for, was confirmed.
        confirmation: The chosen candidate on suites that no search used.
    """

    trials: list[Trial] = field(default_factory=list)
    chosen: Trial | None = None
    confirmation: Measured | None = None

    @property
    def front(self) -> list[Trial]:
        """Trials that no other trial beats on every axis."""
        return pareto(self.trials)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        front = {trial.name for trial in self.front}
        confirmed = self.confirmation
        return {
            "schema": 1,
            "chosen": self.chosen.name if self.chosen else None,
            "confirmed": confirmed.passed if confirmed else None,
            "trials": [trial.to_dict() | {"front": trial.name in front} for trial in self.trials],
        }


def pareto(trials: Iterable[Trial]) -> list[Trial]:
    """Trials not dominated: no other is at least as good on every axis and better on one."""
    every = list(trials)
    return [one for one in every if not any(_beats(other, one) for other in every)]


def _beats(left: Trial, right: Trial) -> bool:
    a, b = left.measured.scores, right.measured.scores
    if a.keys() != b.keys():
        raise InputError(f"'{left.name}' and '{right.name}' were measured on different axes")
    return all(a[axis] >= b[axis] for axis in a) and any(a[axis] > b[axis] for axis in a)


def search(candidates: Sequence[Candidate], evaluate: Evaluate, *, confirm: Evaluate | None = None) -> Search:
    """Try candidates in order of cost until one passes.

    Args:
        candidates: What to try.
        evaluate: Audits a model folder on development suites.
        confirm: Audits the chosen one, once, on suites never used. If it does not pass, nothing
            is chosen: trying the next candidate on the same suites would use them up.

    Raises:
        InputError: There are no candidates.
    """
    if not candidates:
        raise InputError("no repair to try")
    result = Search()
    for candidate in sorted(candidates, key=lambda one: one.cost):
        model = candidate.make()
        trial = Trial(candidate.name, candidate.cost, str(model), evaluate(model))
        result.trials.append(trial)
        if trial.measured.passed:
            result.confirmation = confirm(model) if confirm else None
            if result.confirmation is None or result.confirmation.passed:
                result.chosen = trial
            break
    return result


def search_alpha(
    scale: Callable[[float], Path], evaluate: Evaluate, *, steps: int = 4, confirm: Evaluate | None = None
) -> Search:
    """The largest passing scale, by bisection: passing is taken to be monotone in alpha.

    `scale(1)` is audited first; if it passes nothing is repaired. Then `scale(0)` is taken to pass
    (it is the base) and the interval is halved `steps` times. The largest alpha that passed is
    chosen; alpha 0 itself, the base, never is.

    Raises:
        InputError: `steps` is not positive.
    """
    if steps < 1:
        raise InputError(f"steps must be at least 1, not {steps}")
    result = Search()

    def attempt(alpha: float) -> Trial:
        model = scale(alpha)
        trial = Trial(f"alpha={alpha:g}", len(result.trials), str(model), evaluate(model))
        result.trials.append(trial)
        return trial

    best = attempt(1.0)
    if not best.measured.passed:
        low, high = 0.0, 1.0
        for _ in range(steps):
            middle = (low + high) / 2
            trial = attempt(middle)
            if trial.measured.passed:
                low, best = middle, trial
            else:
                high = middle
    if best.measured.passed:
        result.confirmation = confirm(Path(best.model)) if confirm else None
        if result.confirmation is None or result.confirmation.passed:
            result.chosen = best
    return result
