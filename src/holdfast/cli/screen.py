"""`holdfast screen`: lint fine-tuning data for what breaks a model's safety."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from holdfast.cli.console import err, out, print_json
from holdfast.errors import ExitCode, InputError

if TYPE_CHECKING:
    from holdfast.screen import ScreenConfig, ScreenReport


class FileFirst(TyperGroup):
    """`holdfast screen FILE` is the command `file`; other commands are named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `file` in front of anything that is not a command's name."""
        if not args or args[0] not in self.commands:
            args = ["file", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=FileFirst, add_completion=False)


class Format(StrEnum):
    """How the result is printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class EngineName(StrEnum):
    """Where the rules run."""

    LOCAL = "local"
    RAY = "ray"


@app.command(name="file", epilog="See also: holdfast screen calibrate --help")
def screen_file(
    file: Path | None = typer.Argument(
        None, help="Data file or Hugging Face data folder.", show_default=False
    ),
    folder: Path | None = typer.Option(
        None, "--out", "-o", help="Write clean, review, quarantine, reports here."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    output_format: Format = typer.Option(Format.TEXT, "--format", help="How to print the result."),
    select: list[str] = typer.Option([], "--select", help="Codes or families to run (repeat or comma)."),
    ignore: list[str] = typer.Option([], "--ignore", help="Codes or families not to run."),
    config: Path | None = typer.Option(None, "--config", "-c", help="holdfast.yaml with a screen: section."),
    model: str | None = typer.Option(None, "--model", help="The model to be tuned, for model-aware rules."),
    against: list[str] = typer.Option([], "--against", help="Audit suites whose prompts must not occur."),
    epochs: float | None = typer.Option(None, "--epochs", help="Epochs planned, for the dose estimate."),
    learning_rate: float | None = typer.Option(None, "--learning-rate", help="Peak learning rate planned."),
    explain: str | None = typer.Option(None, "--explain", help="Print the page of a rule, or `all`."),
    engine: EngineName = typer.Option(EngineName.LOCAL, "--engine", help="Where the rules run."),
    jobs: int | None = typer.Option(None, "--jobs", "-j", min=1, help="Processes; default: all cores."),
    show: bool = typer.Option(False, "--show", help="Print evidence in full, harmful text too."),
) -> None:
    """Lint fine-tuning data for what breaks a model's safety.

    Exit code 1 when a row is blocked, 0 otherwise.
    """
    if explain is not None:
        _explain(explain)
        return
    if file is None:
        raise typer.BadParameter("name the data file to screen")
    from holdfast.screen import screen

    with _progress(file) as (rows, size):
        report = screen(
            file,
            config=_config(config, select, ignore, epochs=epochs, learning_rate=learning_rate),
            out=folder,
            model=model,
            against=against,
            jobs=jobs,
            progress=rows,
            advance=size,
            engine=engine.value,
        )
    _print(report, Format.JSON if json else output_format, show)
    raise typer.Exit(int(ExitCode.FAIL if report.blocked else ExitCode.PASS))


@app.command(name="calibrate")
def calibrate_file(
    file: Path = typer.Argument(..., help="The user's data; canaries are planted into it in memory."),
    clean: Path | None = typer.Option(None, "--clean", help="Rows that a person found clean."),
    attacks: Path | None = typer.Option(None, "--attacks", help="Rows known to be bad."),
    config: Path | None = typer.Option(None, "--config", "-c", help="holdfast.yaml with a screen: section."),
    target: float = typer.Option(0.01, "--target", help="Share of clean rows that may be flagged."),
    per_kind: int = typer.Option(20, "--per-kind", min=1, help="Canaries of each kind."),
    seed: int = typer.Option(0, "--seed", help="Decides the canaries and their places."),
    limit: int = typer.Option(20_000, "--limit", min=1, help="Most rows read of each file."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Measure false alarms on clean rows and recall on planted canaries; suggest thresholds."""
    from holdfast.screen.calibrate import calibrate
    from holdfast.screen.text import calibration

    result = calibrate(
        file,
        clean=clean,
        attacks=attacks,
        config=_config(config, [], []),
        target=target,
        per_kind=per_kind,
        seed=seed,
        limit=limit,
    )
    if json:
        print_json(result.to_json())
        return
    for line in calibration(result):
        out.print(line, markup=False)


def _config(path: Path | None, select: list[str], ignore: list[str], **planned: float | None) -> ScreenConfig:
    from holdfast.screen.config import ScreenConfig, load_config

    for name, value in planned.items():
        if value is not None and not 0 < value < float("inf"):
            option = "--" + name.replace("_", "-")
            raise InputError(
                f"{option} must be above 0, not {value:g}", fix=f"name it as planned, or drop {option}"
            )
    config = ScreenConfig() if path is None else load_config(path)
    update: dict[str, Any] = {name: value for name, value in planned.items() if value is not None}
    update |= {
        name: tuple(code.strip() for item in given for code in item.split(",") if code.strip())
        for name, given in (("select", select), ("ignore", ignore))
        if given
    }
    return config.model_copy(update=update)


def _print(report: ScreenReport, output: Format, show: bool) -> None:
    if output is Format.JSON:
        print_json(report.to_json())
    elif output is Format.SARIF:
        from holdfast.screen.sarif import sarif

        print_json(sarif(report))
    else:
        from holdfast.screen.text import lines

        for line in lines(report, show=show):
            out.print(line, markup=False)


def _explain(code: str) -> None:
    from holdfast.screen.ruleset import infos, thresholds
    from holdfast.screen.text import page

    pages = infos()
    if code.lower() == "all":
        for info in pages.values():
            out.print(f"{info.code}  {info.severity.value:6}  {info.name}: {info.summary}", markup=False)
        return
    found = [info for name, info in pages.items() if name.startswith(code.upper())]
    if not found:
        raise InputError(
            f"no rule has the code '{code}'", fix="holdfast screen --explain all lists the rules"
        )
    known = thresholds()
    out.print("\n\n---\n\n".join(page(info, known.get(info.code, ())) for info in found), markup=False)


def _progress(file: Path) -> Any:
    """Rows and bytes on a terminal; nothing in a pipe."""
    from contextlib import nullcontext

    if not err.is_terminal:
        return nullcontext((None, None))
    from holdfast.cli._screen_progress import screening

    return screening(file)
