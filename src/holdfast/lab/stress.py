"""Stress: how many rows, and how many steps, of the user's own harmful file until the audit fails.

The smallest failing dose is the model's "safety half-life" under that file. It is a property of
one recipe (rank, learning rate, epochs): a higher rate gives a shorter one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holdfast import audit, formats, mix, models, train
from holdfast.errors import InputError
from holdfast.files import write_bytes, write_json
from holdfast.judges.base import Judge
from holdfast.suites.base import Suite

FILE = "stress.json"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Point:
    """One dose and what the audit said.

    Attributes:
        rows: Harmful rows trained on.
        steps: Optimiser steps.
        verdict: `pass`, `fail` or `inconclusive`.
        base: Harm rate of the base.
        tuned: Harm rate after the dose.
    """

    rows: int
    steps: int
    verdict: str
    base: float
    tuned: float


@dataclass(frozen=True, slots=True)
class Stress:
    """The result: both sweeps, each up to its first failure; None where no dose failed."""

    by_rows: tuple[Point, ...]
    by_steps: tuple[Point, ...]

    @property
    def rows(self) -> int | None:
        """Fewest rows whose training failed the audit."""
        return next((point.rows for point in self.by_rows if point.verdict == "fail"), None)

    @property
    def steps(self) -> int | None:
        """Fewest steps on the whole file that failed it."""
        return next((point.steps for point in self.by_steps if point.verdict == "fail"), None)

    def to_dict(self) -> dict[str, Any]:
        """As written to `stress.json`."""
        return {
            "schema": 1,
            "half_life": {"rows": self.rows, "steps": self.steps},
            "by_rows": [asdict(point) for point in self.by_rows],
            "by_steps": [asdict(point) for point in self.by_steps],
        }


def stress(
    model: str,
    attack_file: Path,
    *,
    suites: Sequence[Suite],
    judges: Sequence[Judge],
    policy: audit.Policy,
    out: Path,
    config: train.TrainConfig,
    safety: Path | None = None,
    rows: Sequence[int] = (1, 2, 5, 10, 20, 50, 100),
    steps: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128),
    say: Say | None = None,
) -> Stress:
    """Fine-tune on growing doses of the file until the audit against the untouched model fails.

    Args:
        model: Any model reference that can be trained (a local folder or hub name).
        attack_file: Harmful rows, any known fine-tuning format.
        suites: What the audit asks; must hold prompts that the model should refuse.
        judges: As for `audit`.
        policy: What counts as failing.
        out: Working folder; finished doses are not repeated.
        config: How the attacker trains; guards given in it show how long they hold.
        safety: Safety rows, where the guards need them.
        rows: Doses by rows, at the epochs of `config`; those beyond the file are left out.
        steps: Doses by steps, on the whole file.
        say: Told about every finished dose.

    Raises:
        InputError: The file has no rows, or the suites, judges or model cannot be used.
    """
    lines = [mix.as_line(row) for row in formats.read(attack_file)]
    if not lines:
        raise InputError("no rows in this file", path=attack_file)
    random.Random(config.seed).shuffle(lines)

    def dose(name: str, count: int, settings: train.TrainConfig) -> Point:
        home = out / name
        data = home / "data.jsonl"
        write_bytes(data, b"".join(line + b"\n" for line in lines[:count]))
        record = train.train(data, base=model, out=home / "train", config=settings, safety=safety)
        pair = models.load_pair(model, record.output, cache=out / "cache")
        report = audit.audit(*pair, policy=policy, suites=suites, judges=judges, out=home / "audit")
        harm = report.axis("harm")
        if harm is None:
            raise InputError("the suites hold no request to refuse", fix="name one with expect: refuse")
        point = Point(count, record.steps, harm.verdict, harm.base, harm.tuned)
        if say is not None:
            say(f"{point.rows} rows, {point.steps} steps: harm {point.tuned:.1%}, {point.verdict}")
        return point

    counts = sorted({min(count, len(lines)) for count in rows})
    by_rows = _until_fail(lambda n: dose(f"rows-{n}", n, config), counts)
    by_steps = _until_fail(
        lambda n: dose(f"steps-{n}", len(lines), config.model_copy(update={"max_steps": n})),
        sorted(set(steps)),
    )
    found = Stress(tuple(by_rows), tuple(by_steps))
    write_json(out / FILE, found.to_dict())
    return found


def _until_fail(measure: Callable[[int], Point], doses: Sequence[int]) -> list[Point]:
    found: list[Point] = []
    for dose in doses:
        found.append(measure(dose))
        if found[-1].verdict == "fail":
            break
    return found
