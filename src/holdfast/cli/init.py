"""`holdfast init`: a commented project file, or the whole demonstration project."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.console import out
from holdfast.errors import InputError
from holdfast.files import write_bytes

app = typer.Typer(add_completion=False)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where the project goes.")] = Path(),
    demo: Annotated[
        bool, typer.Option("--demo", help="Write the demonstration project: a small model, data, suites.")
    ] = False,
) -> None:
    """Write a commented holdfast.yaml and policy.yaml; existing files are never overwritten."""
    names = ("holdfast.yaml", "policy.yaml")
    for name in names:
        if (folder / name).exists():
            raise InputError("exists already", path=folder / name, fix="remove it, or name another folder")
    if demo:
        from holdfast.lab.demo import write_project

        write_project(folder)
    else:
        for name in names:
            write_bytes(folder / name, files("holdfast.cli").joinpath("files", name).read_bytes())
    out.print(f"wrote {folder / 'holdfast.yaml'}; next: holdfast run {folder}", markup=False)
