"""How often a judge is right, measured against people's labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holdfast.conversation import Message
from holdfast.errors import InputError
from holdfast.judges.base import Exchange, Judge, Outcome

_POSITIVE = {"1", "harmful", "unsafe", "yes", "true", "jailbroken", "compliance_harmful"}
_NEGATIVE = {"0", "harmless", "unharmful", "safe", "no", "false", "refusal"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """One human-labelled exchange; `arm` (`base`, `tuned`, a model's name) splits the result."""

    prompt: str
    response: str
    harmful: bool
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """A proportion with its exact (Clopper-Pearson) two-sided 95 % interval; nan without cases."""

    hits: int
    n: int
    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class ArmCalibration:
    """A judge's errors on one arm; `unscored` rows are in none of the rates."""

    arm: str
    n: int
    unscored: int
    sensitivity: Rate
    specificity: Rate
    precision: Rate
    kappa: float
    kappa_lower: float
    kappa_upper: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A judge's errors, overall and per arm."""

    judge: str
    version: str
    overall: ArmCalibration
    arms: tuple[ArmCalibration, ...]
    unscored_reasons: dict[str, int]

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {"schema": 1, **asdict(self)}


def calibrate(judge: Judge, rows: Sequence[Labelled]) -> Calibration:
    """Judge the labelled rows and count.

    Positive means harmful. `UNSCORED`, `EMPTY`, `TRUNCATED` and `INCOHERENT` verdicts are
    counted as unscored: they are neither of the two.

    Raises:
        InputError: There are no rows.
    """
    if not rows:
        raise InputError("no labelled rows", fix="give a CSV with the columns prompt, response, label")
    exchanges = [Exchange((Message("user", row.prompt),), row.response) for row in rows]
    verdicts = judge.judge(exchanges)
    said: list[bool | None] = []
    reasons: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.outcome in (Outcome.HARMFUL, Outcome.SAFE, Outcome.REFUSAL):
            said.append(verdict.outcome is Outcome.HARMFUL)
        else:
            said.append(None)
            reasons[str(verdict.outcome)] = reasons.get(str(verdict.outcome), 0) + 1
    arms = sorted({row.arm for row in rows if row.arm})
    return Calibration(
        judge.name,
        judge.version,
        _arm("", rows, said),
        tuple(_arm(arm, rows, said) for arm in arms),
        reasons,
    )


def read_labelled(path: str | Path) -> list[Labelled]:
    """Read a CSV with the columns `prompt`, `response`, `label` and perhaps `arm`.

    Labels: 1/0, harmful/unharmful, unsafe/safe, yes/no, true/false; `refusal` counts as harmless.

    Raises:
        InputError: The file, a column or a label cannot be used; names the line.
    """
    csv.field_size_limit(1 << 26)
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            missing = [c for c in ("prompt", "response", "label") if c not in (reader.fieldnames or ())]
            if missing:
                raise InputError(
                    f"no column '{missing[0]}'",
                    path=path,
                    line=1,
                    fix="columns: prompt, response, label[, arm]",
                )
            return [_labelled(row, path, reader.line_num) for row in reader]
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (UnicodeDecodeError, csv.Error, IsADirectoryError) as error:
        raise InputError(f"not a CSV file in UTF-8: {error}", path=path) from None


def interval(hits: int, n: int, level: float = 0.95) -> Rate:
    """A proportion with its Clopper-Pearson interval.

    >>> round(interval(0, 10).upper, 4)
    0.3085
    """
    from scipy.stats import beta

    if n == 0:
        return Rate(0, 0, float("nan"), 0.0, 1.0)
    tail = (1 - level) / 2
    lower = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    upper = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return Rate(hits, n, hits / n, lower, upper)


def kappa(a: int, b: int, c: int, d: int) -> tuple[float, float, float]:
    """Cohen's kappa of the table [[a, b], [c, d]] with its 95 % interval.

    The interval is that of the large-sample variance (Fleiss, Cohen and Everitt 1969); nan where
    chance agreement is total.
    """
    n = a + b + c + d
    if n == 0:
        return float("nan"), float("nan"), float("nan")
    p = [[a / n, b / n], [c / n, d / n]]
    row = [sum(p[0]), sum(p[1])]
    column = [p[0][0] + p[1][0], p[0][1] + p[1][1]]
    observed, chance = p[0][0] + p[1][1], row[0] * column[0] + row[1] * column[1]
    if chance >= 1:
        return float("nan"), float("nan"), float("nan")
    value = (observed - chance) / (1 - chance)
    on = sum(p[i][i] * (1 - (row[i] + column[i]) * (1 - value)) ** 2 for i in (0, 1))
    off = (1 - value) ** 2 * sum(
        p[i][j] * (column[i] + row[j]) ** 2 for i in (0, 1) for j in (0, 1) if i != j
    )
    variance = (on + off - (value - chance * (1 - value)) ** 2) / (n * (1 - chance) ** 2)
    half = 1.959963984540054 * max(variance, 0.0) ** 0.5
    return value, max(-1.0, value - half), min(1.0, value + half)


def _arm(arm: str, rows: Sequence[Labelled], said: Sequence[bool | None]) -> ArmCalibration:
    pairs = [(row.harmful, s) for row, s in zip(rows, said, strict=True) if not arm or row.arm == arm]
    true_positive = sum(1 for truth, s in pairs if truth and s is True)
    false_negative = sum(1 for truth, s in pairs if truth and s is False)
    false_positive = sum(1 for truth, s in pairs if not truth and s is True)
    true_negative = sum(1 for truth, s in pairs if not truth and s is False)
    value, lower, upper = kappa(true_positive, false_negative, false_positive, true_negative)
    return ArmCalibration(
        arm=arm,
        n=len(pairs),
        unscored=sum(1 for _, s in pairs if s is None),
        sensitivity=interval(true_positive, true_positive + false_negative),
        specificity=interval(true_negative, true_negative + false_positive),
        precision=interval(true_positive, true_positive + false_positive),
        kappa=value,
        kappa_lower=lower,
        kappa_upper=upper,
    )


def _labelled(row: dict[str, Any], path: str | Path, line: int) -> Labelled:
    label = str(row["label"] or "").strip().lower()
    if label not in _POSITIVE and label not in _NEGATIVE:
        raise InputError(
            f"unknown label '{label}'",
            path=path,
            line=line,
            fix="1 or 0, harmful or unharmful, unsafe or safe",
        )
    arm = str(row.get("arm") or "").strip()
    return Labelled(row["prompt"] or "", row["response"] or "", label in _POSITIVE, arm)
