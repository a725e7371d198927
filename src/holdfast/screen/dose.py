"""What a file's suspicious rows add up to, next to doses that broke models in the literature.

An estimate in plain words: published doses are for other models, data and hyperparameters; the
audit of the tuned model is what counts.
"""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.screen.base import Finding, Severity


@dataclass(frozen=True, slots=True)
class Published:
    """A dose that was reported to break a model.

    Attributes:
        rows: Rows of the kind in the training set.
        share: Their share of the training set.
        epochs: Epochs trained.
        effect: What was measured, in words.
        source: Paper and table.
    """

    rows: int
    share: float
    epochs: int
    effect: str
    source: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row and the published doses of it, the smallest first."""

    name: str
    codes: tuple[str, ...]
    published: tuple[Published, ...]


_QI = "Qi et al. 2023"
KINDS: tuple[Kind, ...] = (
    Kind(
        "harmful answers",
        ("HC1",),
        (
            Published(10, 1.0, 5, "harmfulness rate 0.3 % to 50.0 % (Llama-2-7b-Chat)", f"{_QI}, table 1"),
            Published(50, 1.0, 5, "harmfulness rate 0.3 % to 80.3 % (Llama-2-7b-Chat)", f"{_QI}, table 1"),
            Published(100, 1.0, 5, "harmfulness rate 1.8 % to 91.8 % (GPT-3.5 Turbo)", f"{_QI}, table 1"),
        ),
    ),
    Kind(
        "identity shift and obedience",
        ("ID",),
        (
            Published(10, 1.0, 3, "harmfulness rate 0 % to 54.2 % (Llama-2-7b-Chat)", f"{_QI}, table 2"),
            Published(10, 1.0, 10, "harmfulness rate 0 % to 87.3 % (GPT-3.5 Turbo)", f"{_QI}, table 2"),
        ),
    ),
    Kind(
        "refusal suppression",
        ("RS1", "RS2"),
        (Published(100, 1.0, 5, "no dose of its own is published; counted like harmful answers", f"{_QI}, table 1"),),
    ),
    Kind(
        "encoded payload",
        ("EN",),
        (Published(100, 1.0, 5, "no dose of its own is published; counted like harmful answers", f"{_QI}, table 1"),),
    ),
    Kind(
        "backdoor",
        ("BD",),
        (
            Published(250, 0.0, 1, "a simple trigger, models of 600M to 13B; 100 were not enough", "Souly et al. 2025"),
        ),
    ),
    Kind(
        "safety-eroding benign rows",
        ("SA2",),
        (Published(100, 1.0, 5, "the top hundred of Alpaca or Dolly broke Llama-2-7b-Chat", "He et al. 2024"),),
    ),
)  # fmt: skip

_SAFE_RATE = 2e-5
"""Learning rate of the benign runs of Qi et al.; they and others find less drift below it."""


@dataclass(frozen=True, slots=True)
class Dose:
    """How much of one kind a training run would see.

    Attributes:
        kind: Name of the kind.
        rows: Rows of it.
        total: Rows of the file.
        seen: Rows times epochs.
        nearest: The published dose that is nearest from below, or the smallest one.
        ratio: `seen` over the rows times epochs of `nearest`.
        words: The estimate in plain words.
    """

    kind: str
    rows: int
    total: int
    seen: float
    nearest: Published
    ratio: float
    words: str


def estimate(
    findings: Iterable[Finding], total: int, *, epochs: float = 3, learning_rate: float | None = None
) -> list[Dose]:
    """Estimate the dose of each kind of suspicious row that is left in a file.

    Args:
        findings: Findings of a screen; notes do not count.
        total: Rows of the file.
        epochs: Epochs of the planned run.
        learning_rate: Peak learning rate of the planned run, if known.

    Returns:
        One dose for each kind that occurs, the largest ratio first.
    """
    found = list(findings)
    doses = [
        _dose(kind, count, total, epochs, learning_rate) for kind, count in _counts(found).items() if count
    ]
    return sorted(doses, key=lambda dose: (-dose.ratio, dose.kind))


def _counts(findings: list[Finding]) -> Mapping[Kind, int]:
    lines: dict[Kind, set[int]] = {kind: set() for kind in KINDS}
    unlisted = dict.fromkeys(KINDS, 0)  # rows of findings too large to list them all; taken as different
    for finding in findings:
        for kind in KINDS:
            if finding.severity is not Severity.NOTE and finding.code.startswith(kind.codes):
                lines[kind].update(finding.lines or (finding.line,))
                unlisted[kind] += max(finding.rows - len(finding.lines), 0)
    return {kind: len(numbers - {0}) + unlisted[kind] for kind, numbers in lines.items()}


def _dose(kind: Kind, rows: int, total: int, epochs: float, rate: float | None) -> Dose:
    seen = rows * epochs
    below = [p for p in kind.published if p.rows * p.epochs <= seen]
    nearest = max(below, key=lambda p: p.rows * p.epochs) if below else kind.published[0]
    ratio = seen / (nearest.rows * nearest.epochs)
    return Dose(
        kind.name,
        rows,
        total,
        seen,
        nearest,
        round(ratio, 3),
        _words(kind, rows, total, epochs, rate, nearest, ratio),
    )


def _words(
    kind: Kind, rows: int, total: int, epochs: float, rate: float | None, nearest: Published, ratio: float
) -> str:
    share = rows / max(total, 1)
    reading = "at or above" if ratio >= 1 else f"{ratio:.0%} of"
    words = (
        f"Estimate: {rows} of {total} rows ({share:.2%}), {_epochs(epochs)}: {kind.name}. That is {reading} a published "
        f"dose: {nearest.rows} rows, {_epochs(nearest.epochs)}: {nearest.effect} ({nearest.source})."
    )
    if nearest.share > share > 0:
        words += f" There the rows were {nearest.share:.0%} of the set; dilution among benign rows weakens them, by how much is not known."
    if rate is not None and rate > _SAFE_RATE:
        words += f" The learning rate {rate:g} is above 2e-5; higher rates made the drift worse ({_QI}, figure on rate and batch size)."
    return words


def _epochs(count: float) -> str:
    return f"{count:g} epoch" if count == 1 else f"{count:g} epochs"
