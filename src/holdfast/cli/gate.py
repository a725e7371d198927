"""`holdfast gate`: pass, fail or inconclusive from an audit and a policy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from holdfast.cli.console import err, out, print_json
from holdfast.errors import ExitCode, InputError

if TYPE_CHECKING:
    from holdfast.audit import Row

app = typer.Typer(add_completion=False)


@app.command()
def gate(
    folder: Annotated[Path | None, typer.Argument(help="The evidence folder of holdfast audit.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file (YAML).")] = None,
    mix: Annotated[list[Path] | None, typer.Option(help="Mixing record (mix.json); may repeat.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    statement: Annotated[Path | None, typer.Option(help="Write the in-toto statement here.")] = None,
    sign: Annotated[Path | None, typer.Option(help="Sign it with this Ed25519 key (PEM).")] = None,
    verify: Annotated[Path | None, typer.Option(help="Check this signed statement instead.")] = None,
    public_key: Annotated[Path | None, typer.Option(help="The key that must have signed it (PEM).")] = None,
    model: Annotated[str, typer.Option(help="The model folder that it must speak of.")] = "",
    summary: Annotated[Path | None, typer.Option(help="Write the Markdown summary here.")] = None,
    allow_inconclusive: Annotated[bool, typer.Option(help="Leave with 0 where nothing is decided.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Decide: exit 0 pass, 1 fail, 3 inconclusive.

    In a GitHub workflow the summary is also added to the step summary, and reasons against a
    pass become annotations. With --verify nothing is decided: exit 0 where a signed statement
    lets this model through, 1 where it does not, 2 where the signature is not good.
    """
    if verify is not None:
        _verify(verify, public_key, model, json)
    if folder is None or policy is None:
        raise InputError("name the evidence and the policy", fix="holdfast gate AUDIT --policy policy.yaml")
    if sign is not None and statement is None:
        raise InputError("nothing to sign", fix="name the file: --statement gate.intoto.json")
    from holdfast import gate as room
    from holdfast.audit import load_policy
    from holdfast.files import digest_file, write_json, write_text
    from holdfast.mix.barred import load_barred

    decision = room.decide(folder, load_policy(policy), barred=load_barred(mix or ()))
    if junit:
        write_text(junit, room.junit(decision, allow_inconclusive=allow_inconclusive))
    if statement:
        made = room.statement(decision, digest_file(folder / "samples.jsonl"))
        write_json(statement, room.sign(made, sign) if sign else made)
    page = room.summary(decision)
    if summary:
        write_text(summary, page)
    _github(page, [row for row in decision.rows if row.verdict != "pass"])
    if json:
        print_json(decision.to_dict())
    else:
        for reason in decision.reasons:
            err.print(reason, markup=False)
        out.print(f"verdict: {decision.verdict}")
    if allow_inconclusive and decision.exit_code is ExitCode.INCONCLUSIVE:
        raise typer.Exit(0)
    raise typer.Exit(int(decision.exit_code))


def _verify(statement: Path, public_key: Path | None, model: str, json: bool) -> NoReturn:
    from holdfast.gate import check_release

    if public_key is None:
        raise InputError("name the key that must have signed it", fix="--public-key release.pub")
    found = check_release(statement, public_key, model)
    if json:
        print_json({"schema": 1, "result": found.result, "subject": found.subject, "reasons": found.reasons})
    else:
        for reason in found.reasons:
            err.print(reason, markup=False)
        out.print(f"signature good; the gate said {found.result}")
    raise typer.Exit(int(found.exit_code))


def _github(page: str, against: Sequence[Row]) -> None:
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    if step:
        with open(step, "a", encoding="utf-8") as handle:
            handle.write(page)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for row in against:
            kind = "error" if row.verdict == "fail" else "warning"
            err.print(f"::{kind} title=Holdfast {row.name}::{'; '.join(row.reasons)}", markup=False)
