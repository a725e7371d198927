"""`holdfast train`: fine-tune with guards and a safety probe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.cli.console import out, print_json, progress
from holdfast.errors import InputError

app = typer.Typer(add_completion=False)

_COMMA = r",(?![^\[]*\])"
"""A comma that does not stand inside brackets."""


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="Training rows, any known format.", show_default=False)],
    base: Annotated[str, typer.Option(help="Folder of the base model, or hf:NAME.")],
    safety: Annotated[Path | None, typer.Option(help="Safety rows for the guards.")] = None,
    guard: Annotated[list[str] | None, typer.Option(help="NAME or NAME:KEY=VALUE,...; may repeat.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings (YAML).")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Run folder; continued if unfinished.")] = Path(
        "train"
    ),
    json: Annotated[bool, typer.Option("--json", help="Print train.json.")] = False,
) -> None:
    """Fine-tune BASE on DATA; writes an adapter (or checkpoint) and train.json."""
    from holdfast import train as room
    from holdfast.yamlfile import load_yaml

    settings = load_yaml(config, room.TrainConfig) if config else room.TrainConfig()
    if guard:
        settings = _with_guards(settings, [_parse_guard(text) for text in guard])
    with progress("training steps", None) as step:
        record = room.train(data, base=base, out=out_dir, config=settings, safety=safety, progress=step)
    if json:
        print_json(record.model_dump())
        return
    loss = "" if record.final_loss is None else f", loss {record.final_loss:.3f}"
    out.print(f"{record.steps} steps on {record.rows} rows in {record.seconds:.0f} s{loss}")
    for name, lines in (("cut at the maximum length", record.truncated), ("left out", record.dropped)):
        if lines:
            out.print(f"{len(lines)} rows {name}, the first at line {lines[0]}")
    if record.stopped:
        out.print(f"stopped early: {record.stopped}")
    out.print(f"result in {record.output}")


def _parse_guard(text: str) -> dict[str, Any]:
    import yaml

    name, _, rest = text.partition(":")
    values: dict[str, Any] = {"name": name}
    for pair in filter(None, re.split(_COMMA, rest)):
        key, found, value = pair.partition("=")
        if not found:
            raise InputError(f"guard '{text}': '{pair}' has no '='", fix="such as kl_anchor:weight=3")
        try:
            values[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(
                f"guard '{text}': '{value}' is no value", fix="such as freeze:layers=[0,1]"
            ) from None
    return values


def _with_guards(settings: Any, guards: list[dict[str, Any]]) -> Any:
    from pydantic import ValidationError

    try:
        return type(settings).model_validate(settings.model_dump() | {"guards": guards})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][2:])
        raise InputError(f"--guard: {place} {first['msg']}".replace("  ", " ")) from None
