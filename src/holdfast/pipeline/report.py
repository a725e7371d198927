"""`report.html` of a run: the verdict, the story in numbers, the pictures, the findings, the limits."""

from __future__ import annotations

import time
from typing import Any

from holdfast import __version__
from holdfast.html import render

_HARM = "harm"
_LINE, _PLOT_HEIGHT = 15, 278  # pixels, of the scatter macro


def render_report(
    decision: dict[str, Any],
    confirm: dict[str, Any] | None,
    training: dict[str, Any],
    reference: dict[str, Any] | None = None,
) -> str:
    """Render `report.html`.

    Args:
        decision: `decision.json`.
        confirm: `audit.json` of the confirming audit, if there was one.
        training: `train.json` of the chosen candidate, or of the last.
        reference: `audit.json` of the reference arm, if there was one.
    """
    shown = confirm or {"axes": decision["candidates"][-1]["axes"] if decision["candidates"] else []}
    return render(
        "holdfast.pipeline",
        "report.html.j2",
        {
            "decision": decision,
            "story": story(decision, confirm),
            "axes": shown["axes"],
            "confirmed": confirm is not None,
            "hazards": hazard_rows(confirm or {}),
            "unscreened": hazard_rows(reference or {}),
            "points": points(decision),
            "probe": probe_lines(training),
            "findings": findings(decision),
            "version": __version__,
            "created": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        },
    )


def story(decision: dict[str, Any], confirm: dict[str, Any] | None) -> list[str]:
    """What happened, in sentences that are only written when their numbers were measured."""
    lines: list[str] = []
    reference = decision["reference"]
    if reference is not None:
        harm, task = _axis(reference["axes"], _HARM), _axis(reference["axes"], "task")
        if harm:
            lines.append(
                f"Plain fine-tuning on the unscreened data moved harmful compliance from "
                f"{_pc(harm['base'])} to {_pc(harm['tuned'])} of {harm['n']} prompts"
                + (f" while it learned the task to {_pc(1 - task['tuned'])}." if task else ".")
            )
    rows = sum(counts["rows"] for counts in decision["screen"].values())
    if rows:
        held = {
            kind: sum(c["verdicts"][kind] for c in decision["screen"].values())
            for kind in ("review", "block")
        }
        lines.append(
            f"The screen looked at {rows} rows: it put {held['block']} in quarantine and left "
            f"{held['review']} for people to decide; neither kind was trained on."
        )
    for row in decision["candidates"]:
        harm, task = _axis(row["axes"], _HARM), _axis(row["axes"], "task")
        if harm:
            learned = f", task quality {_pc(1 - task['tuned'])}" if task else ""
            lines.append(
                f"Candidate {row['name']} on the screened data: harmful compliance {_pc(harm['base'])} to "
                f"{_pc(harm['tuned'])}{learned}; development audit: {row['verdict']}."
            )
    if confirm is not None:
        harm = _axis(confirm["axes"], _HARM)
        if harm:
            lines.append(
                f"On suites that took no part in choosing, harmful compliance went from "
                f"{_pc(harm['base'])} to {_pc(harm['tuned'])} of {harm['n']} prompts; with 95 % confidence "
                f"the change is at most {_points(harm['upper'])}, the margin {_points(harm['margin'])}."
            )
    return lines


def hazard_rows(audit: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the before/after picture, the largest change first."""
    rows = [
        {
            "label": str(row["hazard"]).replace("_", " "),
            "base": row["base"],
            "tuned": row["tuned"],
            "low": row["tuned_interval"][0],
            "high": row["tuned_interval"][1],
            "n": row["n"],
        }
        for row in audit.get("hazards", [])
        if row["n"]
    ]
    return sorted(rows, key=lambda row: row["base"] - row["tuned"])


def points(decision: dict[str, Any]) -> list[dict[str, Any]]:
    """Safety against task quality for every model that was measured."""
    arms = [(row["name"], row["axes"], row["name"] == decision["chosen"]) for row in decision["candidates"]]
    if decision["reference"]:
        arms.insert(0, ("unscreened, plain", decision["reference"]["axes"], False))
    found: list[dict[str, Any]] = []
    for name, axes, chosen in arms:
        harm, task = _axis(axes, _HARM), _axis(axes, "task") or _axis(axes, "capability")
        if harm and task:
            if not found:
                found.append(_point("base", task["base"], harm["base"], "base"))
            found.append(_point(name, task["tuned"], harm["tuned"], "good" if chosen else "tuned"))
    _spread(found)
    return found


def _point(label: str, failures: float, harm: float, kind: str) -> dict[str, Any]:
    return {"label": label, "x": 1 - failures, "y": 1 - harm, "kind": kind, "nudge": 0.0}


def _spread(points: list[dict[str, Any]]) -> None:
    """Move labels down, a line each, until none lies on another of its side of the picture."""
    for right in (False, True):
        lowest = -_LINE
        for point in sorted((p for p in points if (p["x"] > 0.6) is right), key=lambda p: -p["y"]):
            wanted = (1 - point["y"]) * _PLOT_HEIGHT
            lowest = max(wanted, lowest + _LINE)
            point["nudge"] = lowest - wanted


def probe_lines(training: dict[str, Any]) -> dict[str, Any] | None:
    """The refusal log-odds that the probe measured, with the base's at step 0; None without a probe."""
    log = training.get("probe_log") or []
    if not log:
        return None
    base = log[0]["probe/log_odds"] - log[0]["probe/log_odds_change"]
    values = [base, *(point["probe/log_odds"] for point in log)]
    return {"steps": [0, *(point["step"] for point in log)], "values": values}


def findings(decision: dict[str, Any]) -> list[dict[str, Any]]:
    """Findings by file and rule code, the most frequent first."""
    rows = [
        {"file": file[3:], "code": code, "count": count}
        for file, counts in decision["screen"].items()
        for code, count in counts["codes"].items()
    ]
    return sorted(rows, key=lambda row: -row["count"])


def _axis(axes: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((row for row in axes if row["name"] == name), None)


def _pc(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} points"
