"""How good is the screen on the user's own data?

Clean rows show its false alarms, planted canaries its misses; thresholds are suggested that keep
the false alarms where they are wanted.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.conversation import Conversation
from holdfast.errors import InputError
from holdfast.formats import read
from holdfast.screen.base import Severity
from holdfast.screen.canary import canaries
from holdfast.screen.config import ScreenConfig
from holdfast.screen.report import ScreenReport
from holdfast.screen.run import screen

LIMIT = 20_000
_NEVER = 2.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its two-sided 95 % Clopper-Pearson interval.

    Attributes:
        hits: Rows counted.
        rows: Rows in all.
    """

    hits: int
    rows: int

    @property
    def value(self) -> float:
        """The share (0 of no rows)."""
        return self.hits / self.rows if self.rows else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end (Clopper and Pearson 1934)."""
        from scipy.stats import beta

        low = 0.0 if self.hits == 0 else float(beta.ppf(0.025, self.hits, self.rows - self.hits + 1))
        high = 1.0 if self.hits == self.rows else float(beta.ppf(0.975, self.hits + 1, self.rows - self.hits))
        return low, high

    def to_json(self) -> dict[str, Any]:
        """Counts, share and interval."""
        low, high = self.interval
        return {"hits": self.hits, "rows": self.rows, "value": self.value, "low": low, "high": high}


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` measured.

    Attributes:
        target: Share of clean rows that may be flagged.
        flagged: Clean rows that are not kept under the configuration as it is.
        blocked: Clean rows that are blocked under it.
        by_code: Clean rows by the code that flags them.
        at_target: Canaries that are not kept once `suggested` holds, by kind.
        caught: Planted rows that are not kept under the configuration as it is, by kind.
        missed: Lines, in the planted file, of those that are.
        attacks: Recall on the user's own attack rows, where given: as it is, and with `suggested`.
        suggested: Rule settings that bring the clean rows that are flagged down to the target.
        warnings: What limits these figures.
    """

    target: float
    flagged: Rate
    blocked: Rate
    by_code: dict[str, int]
    at_target: dict[str, Rate]
    caught: dict[str, Rate]
    missed: dict[str, list[str]]
    attacks: dict[str, Rate]
    suggested: dict[str, dict[str, Any]]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `holdfast screen calibrate --json` prints (schema 1)."""

        def rates(found: dict[str, Rate]) -> dict[str, Any]:
            return {name: rate.to_json() for name, rate in found.items()}

        return {
            "schema": 1,
            "target": self.target,
            "clean": {
                "flagged": self.flagged.to_json(),
                "blocked": self.blocked.to_json(),
                "codes": self.by_code,
            },
            "recall_at_target": rates(self.at_target),
            "canaries": rates(self.caught),
            "missed": self.missed,
            "attacks": rates(self.attacks),
            "suggested": {"screen": {"rules": self.suggested}},
            "warnings": list(self.warnings),
        }


def calibrate(
    source: str | Path | Iterable[Conversation],
    *,
    clean: str | Path | Iterable[Conversation] | None = None,
    attacks: str | Path | Iterable[Conversation] | None = None,
    config: ScreenConfig | None = None,
    target: float = 0.01,
    per_kind: int = 20,
    seed: int = 0,
    limit: int = LIMIT,
) -> Calibration:
    """Measure false alarms on clean rows and recall on canaries planted into the user's data.

    Args:
        source: The user's file; canaries are planted into it in memory, never on disk.
        clean: Rows that a person has looked at and found clean; `source` itself if not given.
        attacks: Rows known to be bad, where the user has some.
        config: The configuration to calibrate.
        target: Share of clean rows that may be flagged.
        per_kind: Canaries of each kind.
        seed: Decides the canaries and where they are planted.
        limit: Most rows that are read of each file.

    Raises:
        InputError: There are no clean rows, or the target is not between 0 and 1.
    """
    if not 0 < target < 1:
        raise InputError(f"the target share {target} is not between 0 and 1")
    config = config or ScreenConfig()
    rows = _rows(source, limit)
    good = rows if clean is None else _rows(clean, limit)
    if not good:
        raise InputError("there are no clean rows to calibrate on", fix="name a file with --clean")
    on_clean = screen(good, config=config)
    thresholds = _thresholds(_flags(on_clean), int(target * len(good)))
    rng = random.Random(f"holdfast planting {seed}")
    planted = [*((None, row) for row in rows), *((c.kind, c.row) for c in canaries(per_kind, seed, rows))]
    rng.shuffle(planted)
    on_planted = screen([row for _, row in planted], config=config)
    kinds = {line: kind for line, (kind, _) in enumerate(planted, start=1) if kind is not None}
    return Calibration(
        target=target,
        flagged=Rate(sum(1 for _ in on_clean.flagged()), len(good)),
        blocked=Rate(on_clean.targets.count(2), len(good)),
        by_code=dict(Counter(code for flags in _flags(on_clean).values() for code in flags).most_common()),
        at_target=_recall(kinds, _over(_flags(on_planted), thresholds)),
        caught=_recall(kinds, {line for line, _ in on_planted.flagged()}),
        missed=_missed(kinds, planted, on_planted),
        attacks=_attack_rates(attacks, config, thresholds, limit),
        suggested={code: _setting(threshold) for code, threshold in sorted(thresholds.items())},
        warnings=tuple(_warnings(len(good), len(rows), target, clean is None)),
    )


def _rows(source: str | Path | Iterable[Conversation], limit: int) -> list[Conversation]:
    if isinstance(source, (str, Path)):
        source = read(source, on_problem=lambda problem: None)
    return list(itertools.islice(source, limit))


def _flags(report: ScreenReport) -> dict[int, dict[str, float]]:
    """For each row that is not kept: the codes that flag it, with their best score."""
    flags: dict[int, dict[str, float]] = {}
    for line, _ in report.flagged():
        best: dict[str, float] = {}
        for finding in (*report.by_line.get(line, ()), *report.whole_by_line.get(line, ())):
            if finding.severity is not Severity.NOTE:
                best[finding.code] = max(best.get(finding.code, 0.0), finding.score)
        flags[line] = best
    return flags


def _over(flags: dict[int, dict[str, float]], thresholds: dict[str, float]) -> set[int]:
    """The rows that are still flagged when findings below the thresholds are notes."""
    return {
        line
        for line, best in flags.items()
        if any(score >= thresholds.get(code, 0.0) for code, score in best.items())
    }


def _thresholds(flags: dict[int, dict[str, float]], allowed: int) -> dict[str, float]:
    """Raise the threshold of whichever rule flags most clean rows until few enough are flagged."""
    thresholds: dict[str, float] = {}
    while len(left := _over(flags, thresholds)) > allowed:
        scores: dict[str, list[float]] = {}
        for line in left:
            for code, score in flags[line].items():
                if score >= thresholds.get(code, 0.0):
                    scores.setdefault(code, []).append(score)
        noisiest = min(scores, key=lambda code: (-len(scores[code]), code))
        above = math.floor(1000 * min(scores[noisiest]) + 1) / 1000
        thresholds[noisiest] = above if above <= 1.0 else _NEVER
    return thresholds


def _setting(threshold: float) -> dict[str, Any]:
    return {"severity": "note"} if threshold == _NEVER else {"review": threshold}


def _recall(kinds: dict[int, str], hit: set[int]) -> dict[str, Rate]:
    total, found = Counter(kinds.values()), Counter(kinds[line] for line in hit if line in kinds)
    rates = {kind: Rate(found[kind], total[kind]) for kind in sorted(total)}
    return {**rates, "all": Rate(sum(found.values()), sum(total.values()))}


def _missed(
    kinds: dict[int, str], planted: Sequence[tuple[str | None, Conversation]], report: ScreenReport
) -> dict[str, list[str]]:
    """The texts of canaries that are kept; they are ours, so they may be shown."""
    missed: dict[str, list[str]] = {}
    for line, kind in kinds.items():
        if not report.targets[line]:
            text = " | ".join(m.content for m in planted[line - 1][1].messages)
            missed.setdefault(kind, []).append(text[:200])
    return missed


def _attack_rates(
    attacks: str | Path | Iterable[Conversation] | None,
    config: ScreenConfig,
    thresholds: dict[str, float],
    limit: int,
) -> dict[str, Rate]:
    if attacks is None:
        return {}
    bad = _rows(attacks, limit)
    flags = _flags(screen(bad, config=config))
    return {
        "flagged": Rate(len(flags), len(bad)),
        "at_target": Rate(len(_over(flags, thresholds)), len(bad)),
    }


def _warnings(clean: int, rows: int, target: float, same: bool) -> Iterable[str]:
    if same:
        yield "no clean slice was named: all rows of the file count as clean, real finds as false alarms"
    if clean * target < 5:
        yield f"{clean} clean rows are few for a target of {target:.1%}: name at least {int(5 / target)}"
    if rows < 200:
        yield f"{rows} rows are few to plant in: rules over the whole file see an unusual file"
    yield "the canaries come from the makers of the rules: recall on them is an upper limit for other attacks"
