"""`holdfast audit`: compare base and tuned model, paired, with a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.console import err, out, print_json, progress
from holdfast.errors import ExitCode, InputError

if TYPE_CHECKING:
    from holdfast.audit import AuditReport
    from holdfast.conversation import Conversation

_BUILTIN = ("builtin:hazards", "builtin:lookalikes", "builtin:capability", "builtin:identity")

app = typer.Typer(add_completion=False, invoke_without_command=True, no_args_is_help=True)


@app.callback()
def audit(
    ctx: typer.Context,
    base: Annotated[str, typer.Option(help="Aligned model: folder, hf:, openai:, vllm:, recorded:.")] = "",
    tuned: Annotated[str, typer.Option(help="The fine-tuned model, or its adapter folder.")] = "",
    suite: Annotated[list[str] | None, typer.Option(help="What is asked; may be repeated.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="First decides, second gives its opinion.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file (YAML).")] = None,
    tuning_data: Annotated[Path | None, typer.Option(help="Tuning data, for the probe rewording.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Evidence folder; continued if unfinished.")] = Path(
        "audit"
    ),
    json: Annotated[bool, typer.Option("--json", help="Print audit.json.")] = False,
) -> None:
    """Compare base and tuned model on the same prompts; exit 0 pass, 1 fail, 3 inconclusive."""
    if ctx.invoked_subcommand is not None:
        return
    if not base or not tuned:
        raise InputError("name both models", fix="holdfast audit --base REF --tuned REF --suite builtin")
    from holdfast import audit as room
    from holdfast import judges, models, suites

    rules = room.load_policy(policy) if policy else room.Policy()
    asked = [suites.load(ref) for ref in suite or _BUILTIN]
    planned = room.plan(rules, asked)
    for line in (*planned.lines(), *planned.warnings, *planned.reasons):
        err.print(line, style="yellow" if line in planned.reasons else None)
    pair = models.load_pair(base, tuned)
    chosen = [judges.load(name) for name in judge or ["embedded"]]
    rows = _rows(tuning_data)
    job = room.prepare(*pair, policy=rules, suites=asked, judges=chosen, tuning_data=rows)
    with progress("audit", room.work(job)) as step:
        report = room.audit(
            *pair,
            policy=rules,
            suites=asked,
            judges=chosen,
            out=out_dir,
            tuning_data=rows,
            progress=step,
        )
    print_json(report.to_dict()) if json else show(report)
    raise typer.Exit(int(ExitCode[report.verdict.upper()]))


def show(report: AuditReport) -> None:
    """Print a report for people."""
    from rich.table import Table

    table = Table("row", "n", "base", "tuned", "change", "at most", "margin", "verdict")
    for row in report.axes:
        table.add_row(
            row.name,
            str(row.n),
            f"{100 * row.base:.1f} %",
            f"{100 * row.tuned:.1f} %",
            f"{100 * row.delta:+.1f}",
            f"{100 * row.upper_worst:+.1f}",
            "" if row.margin is None else f"{100 * row.margin:.1f}",
            row.verdict,
        )
    out.print(table)
    for row in report.axes:
        for reason in row.reasons:
            out.print(f"{row.name}: {reason}")
    out.print(f"verdict: {report.verdict}   evidence: {report.folder}")


def _rows(path: Path | None) -> list[Conversation]:
    if path is None:
        return []
    from holdfast.formats import read

    return list(read(path))
