"""`holdfast repair`: edit tuned weights back towards safety."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.console import out, print_json, progress
from holdfast.errors import ExitCode

if TYPE_CHECKING:
    from holdfast.repair import RepairRecord, Search
    from holdfast.repair.search import Evaluate
    from holdfast.suites import Suite

app = typer.Typer(add_completion=False, no_args_is_help=True)

Tuned = Annotated[Path, typer.Argument(help="Adapter folder or full checkpoint.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="Folder of the result.")]
Base = Annotated[Path, typer.Option(help="The aligned checkpoint it was trained from.")]
Unaligned = Annotated[Path, typer.Option(help="The checkpoint before alignment.")]
Safety = Annotated[Path, typer.Option(help="Safety rows with the base's answers.")]
Json = Annotated[bool, typer.Option("--json", help="Print the record.")]


@app.callback()
def repair() -> None:
    """Edit the tuned weights back towards safety; audit the result again."""


@app.command()
def scale(
    tuned: Tuned,
    out_dir: Out,
    alpha: Annotated[float, typer.Option(help="0 = the base, 1 = as tuned.")],
    base: Annotated[Path | None, typer.Option(help="Needed for a full checkpoint.")] = None,
    json: Json = False,
) -> None:
    """Multiply the fine-tuning update by ALPHA (adapter, or checkpoint with --base)."""
    from holdfast import repair as room

    if base is None:
        _show(room.scale(tuned, alpha, out_dir), json)
    else:
        _show(room.interpolate(tuned, base, alpha, out_dir), json)


@app.command()
def merge(tuned: Tuned, out_dir: Out, base: Base, json: Json = False) -> None:
    """Work an adapter into its base."""
    from holdfast import repair as room

    _show(room.merge(tuned, base, out_dir), json)


@app.command()
def safelora(
    tuned: Tuned,
    out_dir: Out,
    base: Base,
    unaligned: Unaligned,
    threshold: Annotated[float, typer.Option(help="Treat modules with at most this cosine.")] = 0.5,
    lowest: Annotated[int | None, typer.Option(help="Instead: the n modules with the least.")] = None,
    exact: Annotated[bool, typer.Option(help="A true projector instead of the published form.")] = False,
    rank: Annotated[int, typer.Option(help="Directions kept by the projector.")] = 64,
    json: Json = False,
) -> None:
    """Project the module updates that point away from alignment (SafeLoRA)."""
    from holdfast import repair as room

    limit = None if lowest is not None else threshold
    form = "exact" if exact else "published"
    _show(
        room.repair(
            "safelora",
            tuned,
            base,
            unaligned,
            out_dir,
            threshold=limit,
            lowest=lowest,
            form=form,
            rank=rank,
        ),
        json,
    )


@app.command()
def safemerge(
    tuned: Tuned,
    out_dir: Out,
    base: Base,
    unaligned: Unaligned,
    safe: Annotated[Path, typer.Option(help="Adapter of the same base, trained on safety data.")],
    threshold: Annotated[float, typer.Option(help="Treat modules with at most this cosine.")] = 0.35,
    weight: Annotated[float, typer.Option(help="Share of the tuned update.")] = 0.8,
    json: Json = False,
) -> None:
    """Merge a safety adapter into the modules that point away from alignment (SafeMERGE)."""
    from holdfast import repair as room

    settings = {"threshold": threshold, "weight": weight}
    _show(room.repair("safemerge", tuned, safe, base, unaligned, out_dir, **settings), json)


@app.command()
def resta(
    tuned: Tuned,
    out_dir: Out,
    base: Base,
    unaligned: Unaligned,
    gamma: Annotated[float, typer.Option(help="Multiple of the alignment update.")] = 0.5,
    drop: Annotated[float, typer.Option(help="DARE: share of the task update dropped.")] = 0.0,
    rank: Annotated[int, typer.Option(help="Rank added to an adapter.")] = 16,
    json: Json = False,
) -> None:
    """Add the alignment update back (RESTA, with DARE on checkpoints)."""
    from holdfast import repair as room

    _show(room.resta(tuned, base, unaligned, out_dir, gamma=gamma, drop=drop, rank=rank), json)


@app.command()
def lox(
    base: Annotated[Path, typer.Argument(help="The aligned checkpoint.", show_default=False)],
    out_dir: Out,
    unaligned: Unaligned,
    c: Annotated[float, typer.Option("--c", help="Multiple of the alignment update.")] = 1.0,
    rank: Annotated[int, typer.Option(help="Its rank.")] = 6,
    json: Json = False,
) -> None:
    """Strengthen the base before fine-tuning (LoX)."""
    from holdfast import repair as room

    _show(room.lox(base, unaligned, out_dir, c=c, rank=rank), json)


@app.command()
def restore(
    tuned: Tuned,
    out_dir: Out,
    base: Base,
    safety: Safety,
    share: Annotated[float, typer.Option(help="Share of the parameters put back per step.")] = 0.002,
    steps: Annotated[int, typer.Option(help="Steps.")] = 20,
    json: Json = False,
) -> None:
    """Put back the parameters whose restoring helps safety most, by gradient."""
    from holdfast import repair as room

    with progress("restoring", steps) as step:
        record = room.restore(tuned, base, safety, out_dir, share=share, steps=steps, progress=step)
    _show(record, json)


@app.command()
def patch(
    tuned: Tuned,
    out_dir: Out,
    base: Base,
    safety: Safety,
    epochs: Annotated[int, typer.Option(help="Passes over the safety rows.")] = 3,
    learning_rate: Annotated[float, typer.Option(help="Of AdamW.")] = 1e-4,
    layer: Annotated[list[int] | None, typer.Option(help="Train only these layers; may repeat.")] = None,
    json: Json = False,
) -> None:
    """Train a few epochs on safety rows."""
    from holdfast import repair as room

    settings = {"epochs": epochs, "learning_rate": learning_rate, "layers": tuple(layer or ())}
    with progress("patch steps", None) as step:
        record = room.repair("patch", tuned, base, safety, out_dir, progress=step, **settings)
    _show(record, json)


@app.command()
def search(
    tuned: Tuned,
    out_dir: Out,
    base: Base,
    suite: Annotated[list[str], typer.Option(help="Development suite; may be repeated.")],
    confirm: Annotated[list[str] | None, typer.Option(help="Suite used once, at the end.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file (YAML).")] = None,
    mix: Annotated[list[Path] | None, typer.Option(help="Mixing record (mix.json); may repeat.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="As for holdfast audit.")] = None,
    unaligned: Annotated[Path | None, typer.Option(help="Adds RESTA and SafeLoRA.")] = None,
    safety: Annotated[Path | None, typer.Option(help="Adds patch and restore.")] = None,
    alpha: Annotated[bool, typer.Option("--alpha", help="Only find the largest passing scale.")] = False,
    json: Json = False,
) -> None:
    """Try repairs in order of cost, audit each, stop at the first that passes; exit 0 or 1."""
    from holdfast import audit, judges, suites
    from holdfast import repair as room
    from holdfast.files import write_json
    from holdfast.mix.barred import Barred, load_barred

    choosing, confirming = ([suites.load(ref) for ref in refs or ()] for refs in (suite, confirm))
    fix = "use suites whose prompts served nothing else"
    load_barred(mix or (), safety).refuse([*choosing, *confirming], of="for mixing or repair", fix=fix)
    Barred.by_suites(choosing).refuse(confirming, of="for choosing", fix=fix)
    rules = audit.load_policy(policy) if policy else audit.Policy()
    chosen = [judges.load(name) for name in judge or ["embedded"]]

    def against(asked: list[Suite], folder: str) -> Evaluate:
        return room.evaluator(base, policy=rules, suites=asked, judges=chosen, out=out_dir / folder)

    evaluate = against(choosing, "audits")
    last = against(confirming, "confirm") if confirming else None
    if alpha:
        result = room.search_scales(tuned, base, out_dir, evaluate, confirm=last)
    else:
        result = room.search_methods(
            tuned, base, out_dir, evaluate, unaligned=unaligned, safety=safety, confirm=last
        )
    write_json(out_dir / "search.json", result.to_dict())
    print_json(result.to_dict()) if json else _table(result)
    raise typer.Exit(int(ExitCode.PASS if result.chosen else ExitCode.FAIL))


def _table(result: Search) -> None:
    from rich.table import Table

    front = {trial.name for trial in result.front}
    axes = list(result.trials[0].measured.scores)
    table = Table("repair", *axes, "passes", "on the front")
    for trial in result.trials:
        scores = [f"{100 * trial.measured.scores[axis]:.1f} %" for axis in axes]
        passed = "yes" if trial.measured.passed else "no"
        table.add_row(trial.name, *scores, passed, "yes" if trial.name in front else "")
    out.print(table)
    out.print("shares of good outcomes; harm: of requests not answered harmfully")
    if result.chosen:
        out.print(f"chosen: {result.chosen.name}, in {result.chosen.model}")
    elif result.confirmation:
        out.print("the chosen repair did not pass on the confirming suites: nothing is released")
    else:
        out.print("no repair passes")


def _show(record: RepairRecord, json: bool) -> None:
    if json:
        print_json(record.model_dump())
        return
    for note in record.notes:
        out.print(note)
    out.print(f"{record.tensors['changed']} tensors changed, {record.tensors['kept']} kept")
    out.print(f"result in {record.output}; audit it before use")
