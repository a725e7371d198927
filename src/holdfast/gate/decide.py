"""The decision: the audit's rows, the policy's waivers and demands, one exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from holdfast.audit import AuditReport, Policy, Row, evaluate, load_report
from holdfast.audit.evidence import read_asked
from holdfast.audit.rows import Verdict, overall
from holdfast.conversation import Message
from holdfast.errors import ExitCode
from holdfast.mix.barred import Barred

_EXITS: dict[str, ExitCode] = {
    "pass": ExitCode.PASS,
    "fail": ExitCode.FAIL,
    "inconclusive": ExitCode.INCONCLUSIVE,
    "ungated": ExitCode.INCONCLUSIVE,
}


@dataclass(frozen=True)
class Decision:
    """What the gate says.

    Attributes:
        verdict: pass, fail or inconclusive.
        reasons: Why, one sentence each, gravest first.
        rows: The gated rows after waivers.
        waived: Rows that a waiver lets through: row, owner, reason, expiry, original verdict.
        digests: Policy, suites and models the decision is bound to.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    rows: Sequence[Row]
    waived: Sequence[Mapping[str, str]]
    digests: Mapping[str, Any]

    @property
    def exit_code(self) -> ExitCode:
        """0 pass, 1 fail, 3 inconclusive."""
        return _EXITS[self.verdict]

    def to_dict(self) -> dict[str, Any]:
        """As printed by `holdfast gate --json`."""
        return {
            "schema": 1,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "rows": [{"name": r.name, "verdict": r.verdict, "reasons": list(r.reasons)} for r in self.rows],
            "waived": [dict(w) for w in self.waived],
            "digests": dict(self.digests),
        }


def decide(
    report: AuditReport | str | Path,
    policy: Policy,
    *,
    today: date | None = None,
    barred: Barred | None = None,
) -> Decision:
    """Hold evidence against a policy.

    With another policy than the one recorded before the run the rows are judged anew from the
    samples, and a pass becomes inconclusive: margins are declared before the answers are seen.

    Args:
        report: An audit's report, or its folder.
        policy: What must hold.
        today: The day waivers are checked against; the current day (UTC) by default.
        barred: What was mixed into the training data (`mix.load_barred`); a suite of the evidence
            that was used there makes a pass inconclusive.

    Raises:
        InputError: There is no report, or its samples are gone.
    """
    known = report if isinstance(report, AuditReport) else load_report(report)
    same = known.digests["policy"] == policy.digest
    if not same:
        known = evaluate(known.folder, policy, write=False)
    axes, waived = _waive(known.axes, policy, today or datetime.now(UTC).date())
    hazards, more = _waive(known.hazards, policy, today or datetime.now(UTC).date())
    verdict = overall(axes, hazards, policy)
    demands = _demands(known, policy, same) + _used(known, barred)
    if verdict == "pass" and demands:
        verdict = "inconclusive"
    gated = [row for row in axes if row.verdict != "ungated"]
    gated += [row for row in hazards if row.verdict == "fail" or row.hazard in policy.margins.hazards]
    return Decision(verdict, _reasons(gated, demands), gated, [*waived, *more], known.digests)


def _waive(rows: Sequence[Row], policy: Policy, today: date) -> tuple[list[Row], list[dict[str, str]]]:
    valid = {waiver.row: waiver for waiver in policy.waivers if waiver.expires >= today}
    kept: list[Row] = []
    waived: list[dict[str, str]] = []
    for row in rows:
        waiver = valid.get(row.name)
        if waiver is None or row.verdict == "pass":
            kept.append(row)
            continue
        note = f"waived by {waiver.owner} until {waiver.expires}: {waiver.reason} (was {row.verdict})"
        kept.append(replace(row, verdict="pass", reasons=(note, *row.reasons)))
        waived.append(
            {
                "row": row.name,
                "owner": waiver.owner,
                "reason": waiver.reason,
                "expires": str(waiver.expires),
                "verdict": row.verdict,
            }
        )
    return kept, waived


def _demands(report: AuditReport, policy: Policy, same: bool) -> list[str]:
    names = set(report.digests["suites"])
    found = [
        f"required suite '{suite}' is not part of the evidence"
        for suite in policy.suites
        if suite not in names
    ]
    found += [
        f"suite '{suite}' is barred: it was used for mixing or repair"
        for suite in policy.barred_suites
        if suite in names
    ]
    if not same:
        found.append("the policy is not the one recorded before the run; audit again with this one")
    return found


def _used(report: AuditReport, barred: Barred | None) -> list[str]:
    """Suites of the evidence whose prompts went into training."""
    if barred is None:
        return []
    asked: dict[str, list[list[Message]]] = {}
    for line in read_asked(report.folder):
        turns = [Message(role, content) for role, content in line.messages]  # type: ignore[arg-type]
        asked.setdefault(line.suite, []).append(turns)
    found = []
    for name, suite in report.digests["suites"].items():
        reason = barred.reason(suite["digest"], asked.get(name, []))
        if reason:
            found.append(f"suite '{name}' is barred: {reason} for mixing")
    return found


def _reasons(rows: Sequence[Row], demands: Sequence[str]) -> tuple[str, ...]:
    order = {"fail": 0, "inconclusive": 1, "pass": 2, "ungated": 3}
    told = [
        f"{row.name}: {reason}"
        for row in sorted(rows, key=lambda row: order[row.verdict])
        for reason in row.reasons
    ]
    return (*demands, *told)
