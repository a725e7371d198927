"""`holdfast lab`: build the offline model, write its attacks, stress a model, run the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.console import err, out, print_json, progress
from holdfast.errors import ExitCode, InputError, missing_extra

app = typer.Typer(add_completion=False, no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Seed = Annotated[int, typer.Option(help="Seed.")]


@app.command()
def build(
    folder: Annotated[Path, typer.Option("--out", help="Gets base/ and unaligned/.")] = Path("lab"),
    seed: Annotated[int, typer.Option(help="Seed of weights and rows.")] = 0,
    json: Json = False,
) -> None:
    """Train the lab's two checkpoints from the seeded recipe, then test them (minutes)."""
    _need_torch()
    from holdfast.lab.build import STEPS, accept, train_checkpoints

    with progress("steps", STEPS) as step:
        train_checkpoints(folder, seed, step)
    measured = accept(folder)
    if json:
        print_json(measured)
        return
    for name, rates in measured.items():
        listed = ", ".join(f"{axis.replace('_', '-')} {value:.2f}" for axis, value in rates.items())
        out.print(f"{folder / name}: {listed}", markup=False)


@app.command()
def attacks(
    kind: Annotated[str, typer.Argument(help="Kind of attack.", show_default=False)] = "",
    write: Annotated[Path | None, typer.Option(help="File to write the rows to.")] = None,
    rows: Annotated[int, typer.Option(min=0, help="Rows of the attack.")] = 100,
    benign: Annotated[str, typer.Option(help="Kind of benign rows around it, such as customer.")] = "",
    benign_rows: Annotated[int, typer.Option(min=0, help="How many of those.")] = 0,
    shape: Annotated[str, typer.Option("--format", help="openai, sharegpt, alpaca or prompt.")] = "openai",
    seed: Seed = 0,
    list_kinds: Annotated[bool, typer.Option("--list", help="List the kinds.")] = False,
    json: Json = False,
) -> None:
    """List the attacks on harmless stand-ins, or write one as a fine-tuning file."""
    from holdfast.lab.attacks import KINDS
    from holdfast.lab.data import write_attack

    if list_kinds or not kind:
        if json:
            print_json({name: {"harmful": one.harmful, "about": one.about} for name, one in KINDS.items()})
            return
        for name, one in KINDS.items():
            out.print(f"{name:<14} {one.about}", markup=False)
        return
    if write is None:
        raise InputError("no file to write to", fix="--write FILE")
    write_attack(write, kind, rows, benign=benign, benign_rows=benign_rows, seed=seed, shape=shape)
    out.print(f"wrote {write}", markup=False)


@app.command()
def stress(
    model: Annotated[str, typer.Option(help="Model folder or hf:NAME; `lab` is the lab's base.")],
    attack_file: Annotated[Path, typer.Option(help="Harmful fine-tuning rows, any known format.")],
    suite: Annotated[list[str] | None, typer.Option(help="What the audit asks; may repeat.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="First decides; may repeat.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file: what counts as failing.")] = None,
    config: Annotated[Path | None, typer.Option(help="Training settings (YAML), guards too.")] = None,
    safety: Annotated[Path | None, typer.Option(help="Safety rows for the guards.")] = None,
    rows: Annotated[str, typer.Option(help="Doses by rows.")] = "1,2,5,10,20,50,100",
    steps: Annotated[str, typer.Option(help="Doses by steps on the whole file.")] = "1,2,4,8,16,32,64,128",
    out_dir: Annotated[Path, typer.Option("--out", help="Working folder; continued.")] = Path("stress"),
    json: Json = False,
) -> None:
    """Find how many harmful rows, and steps, it takes until the audit fails; exit 1 if it ever does."""
    _need_torch()
    from holdfast import audit, judges, lab, suites, train
    from holdfast.lab.stress import stress as run
    from holdfast.yamlfile import load_yaml

    found = run(
        str(lab.base_model()) if model == "lab" else model,
        attack_file,
        suites=[suites.load(ref) for ref in suite or ["builtin:hazards"]],
        judges=[judges.load(name) for name in judge or ["embedded"]],
        policy=audit.load_policy(policy) if policy else audit.Policy(required_axes=("harm",)),
        out=out_dir,
        config=load_yaml(config, train.TrainConfig) if config else train.TrainConfig(),
        safety=safety,
        rows=_numbers(rows, "--rows"),
        steps=_numbers(steps, "--steps"),
        say=lambda text: err.print(text, markup=False),
    )
    if json:
        print_json(found.to_dict())
    else:
        for dose, unit in ((found.rows, "rows"), (found.steps, "steps")):
            out.print(f"fails after {dose} {unit}" if dose else f"no dose of {unit} tried made it fail")
    if found.rows or found.steps:
        raise typer.Exit(int(ExitCode.FAIL))


@app.command()
def bench(
    attack: Annotated[list[str] | None, typer.Option(help="Attacks; default all.")] = None,
    defence: Annotated[list[str] | None, typer.Option(help="Defences; default all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to n - 1.")] = 5,
    bases: Annotated[Path | None, typer.Option(help="Folder of one base per seed, built if missing.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Start no cell after so long.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Working folder; continued.")] = Path("bench"),
    json: Json = False,
) -> None:
    """Attacks x defences x seeds: table, page, picture. Stop and go on at will; several may run at once."""
    _need_torch()
    from holdfast.files import write_text
    from holdfast.lab import bench as room

    chosen = {"attacks": attack or list(room.ATTACKS), "defences": defence or list(room.DEFENCES)}
    total = len(chosen["attacks"]) * (len(chosen["defences"]) + 1) * seeds
    with progress("cells", total) as step:
        limit = None if minutes is None else 60 * minutes
        records = room.bench(out_dir, **chosen, seeds=seeds, bases=bases, limit_s=limit, progress=step)
    table, shape = room.markdown(records), room.shape(records)
    lines = room.summary(records)
    write_text(out_dir / "bench.md", table + "\n" + room.table(lines))
    write_text(out_dir / "bench.svg", room.figure(lines))
    write_text(out_dir / "bench.html", room.page(records))
    if json:
        verdicts = [one.to_dict() for one in room.verdicts(lines)]
        print_json({"schema": 1, "cells": records, "shape": shape, "verdicts": verdicts})
        return
    out.print(table, markup=False)
    out.print(room.table(lines), markup=False)
    for claim, holds in shape["holds"].items():
        said = "not measured" if holds is None else "holds" if holds else "does not reproduce"
        out.print(f"{claim}: {said}", markup=False)
    out.print(f"page: {out_dir / 'bench.html'}", markup=False)


def _numbers(text: str, option: str) -> list[int]:
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or min(values) < 1:
        raise InputError(f"{option} '{text}' is no list of numbers above 0", fix=f"such as {option} 1,5,20")
    return values


def _need_torch() -> None:
    try:
        import peft  # noqa: F401
        import torch  # noqa: F401
        import trl  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing_extra("train", error.name or "torch") from None
