"""`holdfast card`: the safety card of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.console import out, print_json
from holdfast.files import read_json

app = typer.Typer(add_completion=False)


@app.command()
def card(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    model_card: Annotated[
        Path | None, typer.Option("--model-card", help="A model's README.md to take the card into.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", help="Where the new model card goes; the old one is not touched.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print card.json.")] = False,
) -> None:
    """Write the safety card of a run (card.md, card.json), or put it into a model card."""
    from holdfast import card as room

    path = room.write(run)
    if model_card is not None:
        path = room.update_model_card(model_card, path, output or run / "README.md")
    if json:
        print_json(read_json(run / "card.json"))
    else:
        out.print(str(path))
