"""The order of the work: plan, screen, mix, try candidates, confirm once, decide, report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from holdfast import audit, card, gate, mix
from holdfast.errors import InputError
from holdfast.files import cannot_write, digest_value, folder_lock, read_json, write_json, write_text
from holdfast.pipeline.candidates import Attempt, attempts, confirm, reference
from holdfast.pipeline.context import Context
from holdfast.pipeline.data import Data, blend, screen
from holdfast.pipeline.decision import RunDecision, decision_json
from holdfast.pipeline.report import render_report
from holdfast.pipeline.ui import Silent, Ui
from holdfast.project import Project


def run(project: Project, *, guards: bool = True, fresh: bool = False, ui: Ui | None = None) -> RunDecision:
    """Take a project to a decision.

    Every stage is skipped when nothing it reads has changed and resumed when it was killed.

    Args:
        project: The project, from `load_project`.
        guards: False leaves out every candidate that has a guard (the plain arm).
        fresh: Throw the run folder's earlier results away first.
        ui: Where progress goes; nowhere by default.

    Raises:
        InputError: Something in the project cannot be used.
        RunError: Disk, memory or an endpoint failed; the same call goes on from there.
    """
    ctx = Context(project, ui or Silent())
    with folder_lock(ctx.folder):
        if fresh:
            _clear(ctx.folder)
        return _decide(ctx, guards=guards)


def _decide(ctx: Context, *, guards: bool) -> RunDecision:
    plan = _plan(ctx)
    if plan["verdict"] == "inconclusive":
        return _finish(ctx, verdict="inconclusive", reasons=plan["reasons"], plan=plan)
    screened = screen(ctx)
    _say_screen(ctx, screened.folder)
    data = blend(ctx, screened)
    mixed = mix.Barred.by_records([mix.MixRecord.model_validate(data.mixing)])
    mixed.refuse(ctx.confirm, of="for mixing", fix="confirm with prompts that were not mixed into the data")
    _say_mix(ctx, data)
    unscreened = reference(ctx, data) if ctx.project.reference else None
    if unscreened is not None:
        _say_attempt(ctx, unscreened, "unscreened data, plain: what would have happened")
    tried: list[Attempt] = []
    chosen: Attempt | None = None
    for attempt in attempts(ctx, data, guards=guards):
        tried.append(attempt)
        _say_attempt(ctx, attempt)
        if attempt.verdict == "pass":
            chosen = attempt
            break
    if chosen is None:
        best = min(tried, key=lambda attempt: attempt.verdict == "fail")
        reasons = [f"no candidate passed the development audit; {best.name}: {_why(best.audit)}"]
        return _finish(
            ctx,
            verdict=best.verdict,
            reasons=reasons,
            plan=plan,
            data=data,
            tried=tried,
            unscreened=unscreened,
        )
    confirmed = confirm(ctx, chosen)
    decision = gate.decide(confirmed.folder, ctx.policy)
    return _finish(
        ctx,
        verdict=str(decision.verdict),
        reasons=list(decision.reasons),
        plan=plan,
        data=data,
        tried=tried,
        unscreened=unscreened,
        chosen=chosen if decision.verdict == "pass" else None,
        confirmed=read_json(confirmed.folder / "audit.json"),
    )


def _plan(ctx: Context) -> dict[str, Any]:
    """What the suites can certify, said and written down before anything is generated."""
    same = {suite.digest for suite in ctx.development} & {suite.digest for suite in ctx.confirm}
    asked = {suite.digest for suite in ctx.requests}
    if same:
        raise InputError(
            "a suite stands under both 'development' and 'confirm'",
            path=ctx.project.folder / "holdfast.yaml",
            fix="confirm with suites that take no part in choosing",
        )
    if asked & {suite.digest for suite in ctx.confirm}:
        raise InputError(
            "a suite stands under both 'requests' and 'confirm'",
            path=ctx.project.folder / "holdfast.yaml",
            fix="confirm with suites that were not mixed into the training data",
        )
    plans = {
        "development": audit.plan(ctx.policy, ctx.development),
        "confirm": audit.plan(ctx.policy, ctx.confirm),
    }
    reasons = [f"{use}: {reason}" for use, plan in plans.items() for reason in plan.reasons]
    content = {
        "verdict": "inconclusive" if any(not plan.certifiable for plan in plans.values()) else "ready",
        "reasons": reasons,
        "policy": ctx.policy.digest,
        "uses": {use: plan.to_json() for use, plan in plans.items()},
    }
    write_json(ctx.folder / "plan.json", content)
    for use, plan in plans.items():
        ctx.ui.say(f"plan      {use}: {plan.summary}")
    return content


def _finish(
    ctx: Context,
    *,
    verdict: str,
    reasons: list[str],
    plan: dict[str, Any],
    data: Data | None = None,
    tried: list[Attempt] | None = None,
    unscreened: Attempt | None = None,
    chosen: Attempt | None = None,
    confirmed: dict[str, Any] | None = None,
) -> RunDecision:
    content = decision_json(
        name=ctx.project.name,
        verdict=verdict,
        chosen=chosen,
        reasons=reasons,
        folder=ctx.folder,
        tried=tried or [],
        reference=unscreened,
        data=data,
        plan=plan,
        confirm=confirmed,
        digests={
            "policy": ctx.policy.digest,
            "base": ctx.base_digest,
            "project": digest_value(ctx.project.model_dump(mode="json")),
            "tuned": chosen.digest if chosen else "",
        },
    )
    write_json(ctx.folder / "decision.json", content)
    before = unscreened.audit if unscreened else None
    training = chosen.training if chosen else (tried[-1].training if tried else {})
    write_text(ctx.folder / "report.html", render_report(content, confirmed, training, before))
    card.write(ctx.folder)
    return RunDecision(verdict, content["chosen"], tuple(reasons), ctx.folder, content)


def _why(report: dict[str, Any]) -> str:
    parts = [
        f"{row['name']} {100 * row['base']:.1f} % -> {100 * row['tuned']:.1f} % ({row['verdict']})"
        for row in report["axes"]
        if row["verdict"] != "pass"
    ]
    return "; ".join(parts) or str(report["verdict"])


def _say_screen(ctx: Context, folder: Path) -> None:
    for path in sorted(folder.glob("*/screen.json")):
        verdicts = read_json(path)["verdicts"]
        counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        ctx.ui.say(f"screen    {path.parent.name[3:]}: {counts}")


def _say_mix(ctx: Context, data: Data) -> None:
    pool = ", ".join(f"{count} {kind}" for kind, count in data.mixing["pool"].items())
    ctx.ui.say(f"mix       safety rows in the base model's own words: {pool}")


def _say_attempt(ctx: Context, attempt: Attempt, note: str = "") -> None:
    rates = ", ".join(
        f"{row['name'].replace('_', '-')} {100 * row['base']:.0f} -> {100 * row['tuned']:.0f} %"
        for row in attempt.audit["axes"]
    )
    ctx.ui.say(f"try       {attempt.name}: {attempt.verdict} ({rates})" + (f"  [{note}]" if note else ""))


def _clear(folder: Path) -> None:
    try:
        for path in folder.iterdir():
            if path.name == ".lock":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise cannot_write(folder, error) from error
