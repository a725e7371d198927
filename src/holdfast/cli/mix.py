"""`holdfast mix`: add safety rows answered by the base model itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.console import out, print_json, progress

app = typer.Typer(add_completion=False)

_SUITES = ("builtin:hazards", "builtin:lookalikes")


@app.command()
def mix(
    clean: Annotated[Path, typer.Argument(help="Your data, any known format.", show_default=False)],
    base: Annotated[str, typer.Option(help="The model that will be fine-tuned.")],
    suite: Annotated[list[str] | None, typer.Option(help="Requests to ask; may be repeated.")] = None,
    judge: Annotated[str, typer.Option(help="Decides what an answer is.")] = "embedded",
    config: Annotated[Path | None, typer.Option(help="Settings (YAML).")] = None,
    share: Annotated[float | None, typer.Option(help="Safety rows per clean row.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the three files.")] = Path("mix"),
    json: Annotated[bool, typer.Option("--json", help="Print mix.json.")] = False,
) -> None:
    """Write mixed.jsonl (to train on), safety.jsonl (for guards) and mix.json (the record)."""
    from holdfast import judges, models, suites
    from holdfast import mix as room
    from holdfast.yamlfile import load_yaml

    settings = load_yaml(config, room.MixConfig) if config else room.MixConfig()
    if share is not None:
        settings = room.MixConfig.model_validate(settings.model_dump() | {"share": share, "count": None})
    asked = [suites.load(ref) for ref in suite or _SUITES]
    with progress("asking the base", None) as step:
        record = room.mix(
            clean,
            base=models.load(base),
            requests=asked,
            judge=judges.load(judge),
            out=out_dir,
            config=settings,
            progress=step,
        )
    if json:
        print_json(record.model_dump())
        return
    added = ", ".join(f"{count} {kind}" for kind, count in record.added.items()) or "none"
    out.print(f"{record.clean_rows} rows and {sum(record.added.values())} safety rows ({added})")
    for kind, counts in record.outcomes.items():
        out.print(f"  answers to {kind} prompts: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    out.print(f"train on {record.mixed}; guards take {record.safety}")
    out.print("barred from the gate: " + ", ".join(one.name for one in record.barred))
