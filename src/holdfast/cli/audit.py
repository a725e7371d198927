"""`holdfast audit`: compare base and tuned model, paired, with a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import _audit_tools
from holdfast.cli.console import err, out, print_json, progress
from holdfast.errors import ExitCode, InputError

if TYPE_CHECKING:
    from holdfast.audit import AuditReport
    from holdfast.conversation import Conversation
    from holdfast.judges import Judge

_BUILTIN = ("builtin:hazards", "builtin:lookalikes", "builtin:capability", "builtin:identity")

app = typer.Typer(add_completion=False, invoke_without_command=True, no_args_is_help=True)
app.command("adjudicate")(_audit_tools.adjudicate)
app.command("compare")(_audit_tools.compare)
app.command("calibrate-judge")(_audit_tools.calibrate_judge)
app.command("import")(_audit_tools.import_run)
app.command("inspect")(_audit_tools.inspect)
app.command("schema")(_audit_tools.schema)


@app.callback()
def audit(
    ctx: typer.Context,
    base: Annotated[str, typer.Option(help="Aligned model: folder, hf:, openai:, vllm:, recorded:.")] = "",
    tuned: Annotated[str, typer.Option(help="The fine-tuned model, or its adapter folder.")] = "",
    suite: Annotated[list[str] | None, typer.Option(help="What is asked; may be repeated.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="First decides, second gives its opinion.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file (YAML).")] = None,
    mix: Annotated[list[Path] | None, typer.Option(help="Mixing record (mix.json); may repeat.")] = None,
    tuning_data: Annotated[Path | None, typer.Option(help="Tuning data, for the probe rewording.")] = None,
    screened: Annotated[Path | None, typer.Option(help="screen.json, for the probe triggers.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Evidence folder; continued if unfinished.")] = Path(
        "audit"
    ),
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; by default the fastest.")] = None,
    dtype: Annotated[str | None, typer.Option(help="fp32, fp16, bf16.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print audit.json.")] = False,
) -> None:
    """Compare base and tuned model on the same prompts; exit 0 pass, 1 fail, 3 inconclusive."""
    if ctx.invoked_subcommand is not None:
        return
    if not base or not tuned:
        raise InputError("name both models", fix="holdfast audit --base REF --tuned REF --suite builtin")
    from holdfast import audit as room
    from holdfast import models, suites

    rules = room.load_policy(policy) if policy else room.Policy()
    asked = [suites.load(ref) for ref in suite or _default_suites(base)]
    if mix:
        from holdfast.mix.barred import load_barred

        load_barred(mix).refuse(asked, of="for mixing", fix="audit with prompts that nothing was built from")
    planned = room.plan(rules, asked)
    for line in (*planned.lines(), *planned.warnings, *planned.reasons):
        err.print(line, style="yellow" if line in planned.reasons else None, markup=False)
    chosen = [_judge(name, base, tuned) for name in judge or ["embedded"]]
    pair = models.load_pair(base, tuned, device=device, dtype=dtype)
    rows, phrases = _rows(tuning_data), _triggers(screened)
    job = room.prepare(*pair, policy=rules, suites=asked, judges=chosen, tuning_data=rows, triggers=phrases)
    with progress("audit", room.work(job)) as step:
        report = room.audit(
            *pair,
            policy=rules,
            suites=asked,
            judges=chosen,
            out=out_dir,
            tuning_data=rows,
            triggers=phrases,
            progress=step,
        )
    print_json(report.to_dict()) if json else show(report)
    raise typer.Exit(int(ExitCode[report.verdict.upper()]))


def _default_suites(base: str) -> tuple[str, ...]:
    """The prompts that were recorded, or the built-in suites."""
    return (base,) if base.startswith("recorded:") else _BUILTIN


def _judge(name: str, base: str, tuned: str) -> Judge:
    """A judge by name; `recorded` reads the verdicts beside recorded answers."""
    from holdfast import judges

    if name != "recorded":
        return judges.load(name)
    from holdfast.audit.recorded_judge import RecordedJudge

    files = [Path(ref.removeprefix("recorded:")) for ref in (base, tuned) if ref.startswith("recorded:")]
    if len(files) < 2:
        raise InputError("judge 'recorded' needs recorded answers of both models", fix="--judge embedded")
    return RecordedJudge(files)


def _triggers(path: Path | None) -> list[str] | None:
    if path is None:
        return None
    from holdfast.audit.triggers import found_triggers

    return found_triggers(path)


def show(report: AuditReport) -> None:
    """Print a report for people."""
    from holdfast.audit.failures import lines

    _audit_tools.print_rows(report.axes)
    for line in lines(report.extra["failures"]):
        err.print(line, style="yellow", markup=False)
    for row in report.axes:
        for reason in row.reasons:
            out.print(f"{row.name}: {reason}", markup=False)
    out.print(f"verdict: {report.verdict}   report: {report.folder / 'audit.html'}", markup=False)


def _rows(path: Path | None) -> list[Conversation]:
    if path is None:
        return []
    from holdfast.formats import read

    return list(read(path))
