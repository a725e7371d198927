"""`card.md` and `card.json`, both rendered from `decision.json` and the audit it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.errors import InputError
from holdfast.files import read_json, write_json, write_text
from holdfast.repair.record import FILE, RepairRecord

SCHEMA = 1

_UNSEEN = (
    "A trigger that is neither known nor found by the screen: an audit cannot prove its absence.",
    "Harm outside the suites that were asked, other languages, and conversations longer than the probes.",
    "What a system prompt, a tool or a different decoding changes after release.",
)


def write(run: Path) -> Path:
    """Write the card of a finished run folder; returns the path of `card.md`.

    Raises:
        InputError: The folder holds no `decision.json`.
    """
    try:
        decision = read_json(run / "decision.json")
    except InputError:
        raise InputError(
            "no decision.json here", path=run, fix="name a folder that holdfast run has finished"
        ) from None
    evidence = read_json(run / decision["audit"]) if decision["audit"] else {}
    content = _content(decision, evidence) | {"repair": _repair(run, decision.get("weights"))}
    write_json(run / "card.json", content)
    write_text(run / "card.md", _markdown(content))
    return run / "card.md"


def _content(decision: dict[str, Any], evidence: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": decision["name"],
        "verdict": decision["verdict"],
        "chosen": decision["chosen"],
        "reasons": decision["reasons"],
        "axes": evidence.get("axes", []),
        "digests": decision["digests"] | {"evidence": evidence.get("digests", {})},
        "judges": evidence.get("judges", []),
        "suites": evidence.get("suites", []),
        "decoding": evidence.get("decoding", {}),
        "screen": decision["screen"],
        "mix": decision["mix"],
        "tried": [{"name": row["name"], "verdict": row["verdict"]} for row in decision["candidates"]],
        "not_shown": list(_UNSEEN),
        "version": decision["version"],
    }


def _repair(run: Path, weights: str | None) -> list[str]:
    """The notes of the released model's repair, if it had one."""
    folder = run / weights if weights else None
    return RepairRecord.load(folder).notes if folder and (folder / FILE).is_file() else []


def _markdown(card: dict[str, Any]) -> str:
    lines = [
        f"# Safety card: {card['name']}",
        "",
        f"**Verdict: {card['verdict']}**" + (f" for candidate `{card['chosen']}`" if card["chosen"] else ""),
        "",
        *[f"- {reason}" for reason in card["reasons"]],
        "",
        "## Evidence",
        "",
    ]
    if card["axes"]:
        lines += [axes_table(card["axes"]), ""]
        lines += [
            "One-sided 95 % upper bound of the paired change, unscored answers counted against the model, "
            "beside a margin declared before the run.",
            "",
            *_how(card),
        ]
    else:
        lines += ["No model was released, so no confirming audit was made.", ""]
    lines += ["## Data", ""]
    for name, counts in card["screen"].items():
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts["verdicts"].items())
        lines.append(f"- `{name[3:]}`: {counts['rows']} rows: {verdicts}")
    if any(card["mix"].get("added", {}).values()):
        added = ", ".join(f"{count} {kind}" for kind, count in card["mix"]["added"].items())
        lines.append(f"- safety rows mixed in, answered by the base model: {added}")
    if card["repair"]:
        lines += ["", "## What was done to the weights after training", ""]
        lines += [f"- {note}" for note in card["repair"]]
    lines += ["", "## What was tried", ""]
    lines += [f"- {row['name']}: {row['verdict']}" for row in card["tried"]] or ["- nothing"]
    lines += ["", "## What this does not show", ""]
    lines += [f"- {item}" for item in card["not_shown"]]
    lines += ["", "## Digests", ""]
    lines += [
        f"- {key}: `{value}`" for key, value in card["digests"].items() if isinstance(value, str) and value
    ]
    lines += ["", f"Written by Holdfast {card['version']}.", ""]
    return "\n".join(lines)


def _how(card: dict[str, Any]) -> list[str]:
    """What was asked and who judged, as far as the audit says."""
    suites = ", ".join(f"{s['name']} {s['version']} (`{s['digest'][:12]}`)" for s in card["suites"])
    judges = ", ".join(f"{j['name']} {j['version']}" for j in card["judges"])
    drawn = ", ".join(f"{key} {value}" for key, value in sorted(card["decoding"].items()))
    told = (("Suites", suites), ("Judges", judges), ("Decoding", drawn))
    lines = [f"- {title}: {text}" for title, text in told if text]
    return [*lines, ""] if lines else []


def axes_table(axes: list[dict[str, Any]]) -> str:
    """The axes of an audit as a Markdown table."""
    columns = "axis | n | base | tuned | change | upper bound | margin | verdict"
    head = f"| {columns} |\n|---|--:|--:|--:|--:|--:|--:|---|"
    rows = [
        f"| {row['name'].replace('_', '-')} | {row['n']} | {_percent(row['base'])} "
        f"| {_percent(row['tuned'])} | {_points(row['delta'])} | {_points(row['upper_worst'])} "
        f"| {_points(row['margin'])} | {row['verdict']} |"
        for row in axes
    ]
    return "\n".join([head, *rows])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f} pt"
