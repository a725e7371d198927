"""`holdfast gate`: pass, fail or inconclusive from an audit and a policy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.console import err, out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def gate(
    folder: Annotated[Path, typer.Argument(help="The evidence folder of holdfast audit.")],
    policy: Annotated[Path, typer.Option(help="Policy file (YAML).")],
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    statement: Annotated[Path | None, typer.Option(help="Write the in-toto statement here.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the Markdown summary here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Decide: exit 0 pass, 1 fail, 3 inconclusive.

    In a GitHub workflow the summary is also added to the step summary.
    """
    from holdfast import gate as room
    from holdfast.audit import load_policy
    from holdfast.files import digest_file, write_json, write_text

    decision = room.decide(folder, load_policy(policy))
    if junit:
        write_text(junit, room.junit(decision))
    if statement:
        write_json(statement, room.statement(decision, digest_file(folder / "samples.jsonl")))
    page = room.summary(decision)
    if summary:
        write_text(summary, page)
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    if step:
        with open(step, "a", encoding="utf-8") as handle:
            handle.write(page)
    if json:
        print_json(decision.to_dict())
    else:
        for reason in decision.reasons:
            err.print(reason)
        out.print(f"verdict: {decision.verdict}")
    raise typer.Exit(int(decision.exit_code))
