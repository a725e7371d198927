"""The smaller commands under `holdfast audit`: labels, judges, imports, schemas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.console import err, out, print_json
from holdfast.errors import ExitCode, InputError

if TYPE_CHECKING:
    from holdfast.audit import Row


def adjudicate(
    folder: Annotated[Path, typer.Argument(help="Evidence folder of holdfast audit.")],
    export: Annotated[Path | None, typer.Option(help="Write the blinded CSV to label here.")] = None,
    read: Annotated[Path | None, typer.Option(help="Read the labelled CSV back.")] = None,
    axis: Annotated[list[str] | None, typer.Option(help="harm, over_refusal, identity.")] = None,
    concordant: Annotated[int, typer.Option(help="Random unchanged pairs to label, per axis.")] = 60,
) -> None:
    """Let people decide the flips, the disputed answers and a random sample, blind to the arm."""
    from holdfast.audit import Policy, evaluate
    from holdfast.audit import adjudication as room
    from holdfast.audit.evidence import read_run

    if (export is None) == (read is None):
        raise InputError("say what to do", fix="--export FILE.csv, or --read FILE.csv")
    if export is not None:
        made = room.export(folder, export, axes=axis or ["harm"], concordant=concordant)
        out.print(
            f"{made.path}: {made.items} answers to label ({made.flips} flips, {made.doubtful} doubtful and "
            f"{made.concordant} other pairs). Write yes, no or unsure into the column label."
        )
        return
    assert read is not None
    count = room.read_labels(folder, read)
    report = evaluate(folder, Policy.model_validate(read_run(folder)["policy"]))
    out.print(f"{count} labels read; verdict now: {report.verdict}")
    for row in report.axes:
        if row.adjudicated:
            upper = 100 * row.adjudicated["upper"]
            out.print(f"{row.name}: at most {upper:.1f} points worse once the judge's error is counted")


def compare(
    first: Annotated[Path, typer.Argument(help="Evidence folder of an audit.")],
    second: Annotated[Path, typer.Argument(help="Evidence folder of another audit.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the tuned models of two audits, paired; refused where anything else differs."""
    from dataclasses import asdict

    from holdfast.audit.compare import compare as room

    rows = room(first, second)
    if json:
        print_json({"schema": 1, "rows": [asdict(row) for row in rows]})
        return
    print_rows(rows, "first", "second")


def print_rows(rows: Sequence[Row], base: str = "base", tuned: str = "tuned") -> None:
    """Print comparisons as a table."""
    from rich.table import Table

    table = Table("row", "n", base, tuned, "change", "at most", "margin", "verdict")
    for row in rows:
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


def calibrate_judge(
    file: Annotated[Path, typer.Argument(help="CSV with prompt, response, label (and perhaps arm).")],
    judge: Annotated[str, typer.Option(help="The judge to measure.")] = "embedded",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a judge against human labels: sensitivity, specificity, kappa, with intervals."""
    from holdfast import judges

    found = judges.calibrate(judges.load(judge), judges.read_labelled(file))
    if json:
        print_json(found.plain())
        return
    from rich.table import Table

    table = Table("arm", "n", "unscored", "sensitivity", "specificity", "precision", "kappa")
    for arm in (found.overall, *found.arms):
        rates = (arm.sensitivity, arm.specificity, arm.precision)
        table.add_row(
            arm.arm or "all",
            str(arm.n),
            str(arm.unscored),
            *(f"{100 * r.value:.1f} % ({100 * r.lower:.1f} to {100 * r.upper:.1f})" for r in rates),
            f"{arm.kappa:.2f} ({arm.kappa_lower:.2f} to {arm.kappa_upper:.2f})",
        )
    out.print(table)


def import_run(
    kind: Annotated[str, typer.Argument(help="inspect, lm-eval, garak or promptfoo.")],
    file: Annotated[Path, typer.Argument(help="The run's log.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for answers.jsonl and suite.jsonl.")],
    axis: Annotated[str, typer.Option(help="harm, over_refusal, capability, identity, task.")] = "",
) -> None:
    """Turn a run made elsewhere into recorded answers and a suite."""
    from holdfast.audit.importers import import_run as convert

    made = convert(kind, file, folder, axis=axis)
    out.print(f"{made.prompts} prompts, {made.rows} answers, {made.unjudged} without a verdict: {folder}")
    if made.samples > 1:
        err.print(f"set decoding: samples: {made.samples} in the policy to use every answer")
    out.print(
        f"holdfast audit --base recorded:{made.answers} --tuned recorded:OTHER/answers.jsonl "
        f"--suite {made.suite} --judge recorded"
    )


def inspect(
    task: Annotated[str, typer.Argument(help="An inspect_ai task: file.py@name, or a registered name.")],
    base: Annotated[str, typer.Option(help="The aligned model.")],
    tuned: Annotated[str, typer.Option(help="The fine-tuned model, or its adapter folder.")],
    policy: Annotated[Path | None, typer.Option(help="Policy file (YAML).")] = None,
    axis: Annotated[str, typer.Option(help="What the task measures.")] = "capability",
    folder: Annotated[Path, typer.Option("--out", help="Evidence folder.")] = Path("audit"),
) -> None:
    """Run an inspect_ai task on both models and judge by its scorer (extra: inspect)."""
    from holdfast import audit as room
    from holdfast import models, suites
    from holdfast.audit.inspect_task import run_task
    from holdfast.audit.recorded_judge import RecordedJudge
    from holdfast.models import Decoding

    given = room.load_policy(policy) if policy else room.Policy()
    rules = given.model_copy(update={"required_axes": (axis,)})
    decoding = Decoding(**rules.decoding.model_dump())
    pair = models.load_pair(base, tuned)
    one, first = run_task(task, pair[0], decoding, folder / "base", axis=axis)
    other, second = run_task(task, pair[1], decoding, folder / "tuned", axis=axis)
    report = room.audit(
        one,
        other,
        policy=rules,
        suites=[suites.load(str(first.suite))],
        judges=[RecordedJudge([first.answers, second.answers])],
        out=folder,
    )
    print_rows(report.axes)
    raise typer.Exit(int(ExitCode[report.verdict.upper()]))


def schema(
    name: Annotated[str, typer.Argument(help="policy, audit or samples.")] = "policy",
) -> None:
    """Print a JSON schema, for editors and for readers of the evidence."""
    from holdfast.audit.schemas import NAMES, find

    if name not in NAMES:
        raise InputError(f"no schema '{name}'", fix=f"one of {', '.join(NAMES)}")
    print_json(find(name))
