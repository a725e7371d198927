"""`holdfast run`: one command from data and model to a safe tuned model, or a clear no."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.console import err, out, print_json, progress

if TYPE_CHECKING:
    from holdfast.pipeline import RunDecision

app = typer.Typer(add_completion=False)
_SMALL = 40 << 20
_STYLE = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow", "ungated": "dim"}


class Terminal:
    """Progress of a run on standard error."""

    def say(self, text: str) -> None:
        """One finished line."""
        err.print(text, markup=False)

    def progress(self, label: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """A progress bar on a terminal, a line elsewhere."""
        return progress(label, total)


@app.command()
def run(
    project: Annotated[Path, typer.Argument(help="A project file or its folder.")] = Path("holdfast.yaml"),
    no_guard: Annotated[bool, typer.Option("--no-guard", help="Try only candidates without guards.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw earlier results away and start over.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print decision.json.")] = False,
) -> None:
    """Take a model and a data set to a safe tuned model, or a clear no.

    Exit code 0 pass, 1 fail, 3 inconclusive; 2 wrong input, 4 failure while running. A killed or
    interrupted run goes on where it stopped when the same command is given again.
    """
    from holdfast.pipeline import Silent
    from holdfast.pipeline import run as guarded_run
    from holdfast.project import load_project

    loaded = load_project(project)
    one_thread_for_a_small_model(loaded.path(loaded.base))
    decision = guarded_run(loaded, guards=not no_guard, fresh=fresh, ui=Silent() if json else Terminal())
    if json:
        print_json(decision.content)
    else:
        show(decision)
    raise typer.Exit(int(decision.exit_code))


def one_thread_for_a_small_model(base: Path) -> None:
    """Before torch is imported: the kernels of a few million parameters are too small to share.

    Compare `OMP_NUM_THREADS=2 holdfast run --fresh` with the default on the demonstration project.
    """
    weights = list(base.glob("*.safetensors")) if base.is_dir() else []
    if weights and sum(path.stat().st_size for path in weights) < _SMALL:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def show(decision: RunDecision) -> None:
    """Print the verdict, the table and the path of the report."""
    from rich.box import SIMPLE
    from rich.table import Table

    content = decision.content
    rows: list[dict[str, Any]] = list(content["candidates"])
    if content["reference"]:
        rows.insert(0, content["reference"] | {"name": "unscreened, plain"})
    if content["confirm"]:
        rows.append({"name": "confirm", **content["confirm"]})
    if rows:
        axes = [axis["name"] for axis in rows[0]["axes"]]
        table = Table("model", "audit", *(f"{name.replace('_', '-')}, %" for name in axes), box=SIMPLE)
        for row in rows:
            cells = {a["name"]: f"{100 * a['base']:.1f} → {100 * a['tuned']:.1f}" for a in row["axes"]}
            verdict = f"[{_STYLE[row['verdict']]}]{row['verdict']}[/]"
            table.add_row(row["name"], verdict, *(cells.get(name, "–") for name in axes))
        out.print(table)
        out.print("Rates of what is worse (harmful, refused, wrong, babble): base → tuned.", style="dim")
    out.print(f"[{_STYLE[decision.verdict]}]{decision.verdict.upper()}[/]", end="")
    out.print(f"  {decision.chosen} may be released" if decision.chosen else "  no model is released")
    for reason in decision.reasons:
        out.print(f"  {reason}", markup=False)
    if content["weights"]:
        out.print(f"weights   {decision.folder / content['weights']}", markup=False)
    out.print(f"report    {decision.folder / 'report.html'}", markup=False)
