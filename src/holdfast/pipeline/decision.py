"""`decision.json`: what the run decided, and the numbers that say why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.errors import ExitCode
from holdfast.pipeline.candidates import Attempt
from holdfast.pipeline.data import Data
from holdfast.repair import Measured, Trial, pareto

SCHEMA = 1
_MIXED = ("pool", "added", "outcomes", "hazards", "barred", "judge")
_EXITS = {"pass": ExitCode.PASS, "fail": ExitCode.FAIL, "inconclusive": ExitCode.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class RunDecision:
    """The outcome of a run.

    Attributes:
        verdict: `pass`, `fail` or `inconclusive`.
        chosen: Name of the released candidate, or None.
        reasons: Why, one sentence each.
        folder: The run folder.
        content: The whole of `decision.json`.
    """

    verdict: str
    chosen: str | None
    reasons: tuple[str, ...]
    folder: Path
    content: dict[str, Any]

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of `holdfast run`."""
        return _EXITS[self.verdict]


def decision_json(
    *,
    name: str,
    verdict: str,
    chosen: Attempt | None,
    reasons: list[str],
    folder: Path,
    tried: list[Attempt],
    reference: Attempt | None,
    data: Data | None,
    plan: dict[str, Any],
    confirm: dict[str, Any] | None,
    digests: dict[str, str],
) -> dict[str, Any]:
    """Assemble `decision.json`; paths are relative to the run folder."""
    front = {trial.name for trial in pareto([_trial(attempt) for attempt in tried])}

    def relative(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    def row(attempt: Attempt) -> dict[str, Any]:
        return {
            "name": attempt.name,
            "verdict": attempt.verdict,
            "front": attempt.name in front,
            "weights": relative(attempt.weights),
            "audit": relative(attempt.folder / "audit.json"),
            "axes": attempt.audit["axes"],
            "seconds": round(attempt.seconds, 2),
        }

    return {
        "schema": SCHEMA,
        "name": name,
        "verdict": verdict,
        "chosen": chosen.name if chosen else None,
        "weights": relative(chosen.weights) if chosen else None,
        "reasons": reasons,
        "candidates": [row(attempt) for attempt in tried],
        "reference": row(reference) if reference else None,
        "screen": {} if data is None else {file: _counts(report) for file, report in data.screens.items()},
        "mix": {} if data is None else _mix(data, chosen),
        "plan": plan,
        "confirm": None if confirm is None else {"verdict": confirm["verdict"], "axes": confirm["axes"]},
        "audit": "confirm/audit.json" if confirm else None,
        "report": "report.html",
        "digests": digests,
        "version": __version__,
    }


def _mix(data: Data, chosen: Attempt | None) -> dict[str, Any]:
    """Where the safety rows come from, and how many the released model was trained on."""
    mixing = (chosen and chosen.mixing) or data.mixing
    found = {key: mixing[key] for key in _MIXED}
    return found if chosen is None or chosen.mixing else found | {"added": {}, "hazards": {}}


def _trial(attempt: Attempt) -> Trial:
    """The attempt as the Pareto front sees it: axis to value, higher is better."""
    scores = {row["name"]: 1 - row["tuned"] for row in attempt.audit["axes"]}
    measured = Measured(attempt.verdict == "pass", scores)
    return Trial(attempt.name, attempt.seconds, str(attempt.weights), measured)


def _counts(report: dict[str, Any]) -> dict[str, Any]:
    codes: dict[str, int] = {}
    for finding in report["findings"]:
        codes[finding["code"]] = codes.get(finding["code"], 0) + 1
    return {
        "rows": report["rows"],
        "verdicts": report["verdicts"],
        "codes": dict(sorted(codes.items())),
        "file_findings": len(report["file_findings"]),
    }
