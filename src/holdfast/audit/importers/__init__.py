"""Runs made elsewhere, turned into recorded answers and a suite, so that the gate can judge them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.audit.importers.common import Imported, Written, write
from holdfast.errors import InputError

__all__ = ["KINDS", "Imported", "Written", "import_run"]

KINDS = ("inspect", "lm-eval", "garak", "promptfoo")


def import_run(kind: str, path: Path, out: Path, *, axis: str = "") -> Written:
    """Read a run and write `answers.jsonl` and `suite.jsonl` into `out`.

    The answers carry the other tool's verdicts; `--judge recorded` uses them.

    Args:
        kind: `inspect` (.eval or .json log), `lm-eval` (samples_*.jsonl), `garak` (report.jsonl)
            or `promptfoo` (JSON output).
        path: The file.
        out: Folder to write into.
        axis: What the run measures; by default capability for inspect and lm-eval, harm for the
            others.

    Raises:
        InputError: The file is not such a run, or holds no answers.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind of run '{kind}'", fix=f"one of {', '.join(KINDS)}")
    return write(_reader(kind)(path, axis), path, out)


def _reader(kind: str) -> Callable[[Path, str], Iterator[Imported]]:
    from holdfast.audit.importers import garak, inspect_log, lm_eval, promptfoo

    return {
        "inspect": inspect_log.read,
        "lm-eval": lm_eval.read,
        "garak": garak.read,
        "promptfoo": promptfoo.read,
    }[kind]
