"""`holdfast repair`: edit tuned weights back towards safety."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.console import out, print_json

if TYPE_CHECKING:
    from holdfast.repair import RepairRecord

app = typer.Typer(add_completion=False, no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print the repair record.")]


@app.callback()
def repair() -> None:
    """Edit the tuned weights back towards safety; audit the result again."""


@app.command()
def scale(
    adapter: Annotated[Path, typer.Argument(help="LoRA adapter folder.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the result.")],
    alpha: Annotated[float, typer.Option(help="0 = the base, 1 = the adapter.")],
    json: Json = False,
) -> None:
    """Multiply an adapter's update by ALPHA."""
    from holdfast import repair as room

    _show(room.scale(adapter, alpha, out_dir), json)


def _show(record: RepairRecord, json: bool) -> None:
    if json:
        print_json(record.model_dump())
        return
    for note in record.notes:
        out.print(note)
    out.print(f"{record.tensors['changed']} tensors changed, {record.tensors['kept']} kept")
    out.print(f"result in {record.output}; audit it before use")
