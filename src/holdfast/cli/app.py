"""The command line: a thin table of verbs, each imported only when it is used."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

from holdfast.errors import ExitCode, HoldfastError

VERBS: dict[str, str] = {
    "run": "Take a model and a data set to a safe tuned model, or a clear no.",
    "init": "Write a commented holdfast.yaml (or the demonstration project).",
    "screen": "Lint fine-tuning data for what breaks a model's safety.",
    "review": "Decide the doubtful rows: web page, CSV round trip, audit trail.",
    "mix": "Add safety rows answered by the base model itself.",
    "train": "Fine-tune with guards and a safety probe.",
    "audit": "Compare base and tuned model, paired, with a verdict.",
    "repair": "Edit the tuned weights back towards safety, then audit again.",
    "gate": "Decide pass, fail or inconclusive from evidence and a policy.",
    "card": "Write the safety card of a run.",
    "watch": "Moderate and test live traffic; scan logs.",
    "lab": "The offline model, its attacks and the benchmark.",
    "doctor": "Say what is installed, what is missing and what this machine can do.",
}


class LazyGroup(TyperGroup):
    """A command group that imports `holdfast.cli.<verb>` (its `app`) when the verb is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs, in the order of the work."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Name the verb without importing it: enough for listing help."""
        return _stub(cmd_name) if cmd_name in VERBS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the verb that is really used."""
        name, stub, rest = super().resolve_command(ctx, args)
        if name not in VERBS:
            return name, stub, rest
        module = importlib.import_module(f"holdfast.cli.{name}")
        command = typer.main.get_command(module.app)
        command.name = name
        command.help = command.help or VERBS[name]
        return name, command, rest


def _stub(verb: str) -> Any:
    stub = typer.Typer(add_completion=False)
    stub.command(help=VERBS[verb])(lambda: None)
    command = typer.main.get_command(stub)
    command.name = verb
    return command


app = typer.Typer(
    cls=LazyGroup,
    name="holdfast",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Fine-tune a language model without losing its safety, and prove it.",
)


def _version(value: bool) -> None:
    if value:
        from holdfast import __version__

        typer.echo(f"holdfast {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """Entry point: every expected failure becomes one line and an exit code."""
    # With libgomp's default spinning a competing process makes a training step ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Libraries' own bars and deprecation notes would break up the lines a run prints.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.simplefilter("ignore", FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        app()
    except HoldfastError as error:
        _say(f"error: {error}")
        sys.exit(int(error.exit_code))
    except (KeyboardInterrupt, SystemExit) as end:
        # typer turns Ctrl-C into exit code 130 and says nothing.
        if isinstance(end, KeyboardInterrupt) or end.code == 130:
            _say("interrupted: finished work is kept, run the same command again to go on")
            sys.exit(130)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(int(ExitCode.RUNTIME))
    except OSError as error:
        _say(f"error: {error.filename or 'system'}: {error.strerror or error}")
        sys.exit(int(ExitCode.RUNTIME))
    except Exception as error:  # noqa: BLE001 - a defect must not leave with exit code 1, which means "fail"
        if os.environ.get("HOLDFAST_TRACEBACK"):
            traceback.print_exc()
        _say(f"internal error: {type(error).__name__}: {error} (set HOLDFAST_TRACEBACK=1 and report it)")
        sys.exit(int(ExitCode.RUNTIME))


def _say(text: str) -> None:
    print(f"holdfast: {text}", file=sys.stderr)
