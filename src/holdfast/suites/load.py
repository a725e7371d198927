"""Opening suites by reference."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import InputError
from holdfast.suites.base import Suite
from holdfast.suites.user import load_file

BUILTIN = ("hazards", "lookalikes", "capability", "identity")
_FOLDER = Path(__file__).parent / "builtin"


def load(ref: str | Path) -> Suite:
    """Open the suite that `ref` names.

    Args:
        ref: `builtin:NAME`, the path of a CSV, JSONL or JSON file, `recorded:FILE` (the prompts
            of recorded answers), `NAME:PATH` for a public set on disk or `NAME@hub` for one from
            the Hugging Face hub (see `suites.PUBLIC`).

    Raises:
        InputError: There is no such suite, or its file cannot be used.
    """
    text = str(ref)
    kind, separator, target = text.partition(":")
    if isinstance(ref, Path) or not separator:
        return load_file(ref)
    if kind == "builtin":
        return _builtin(target)
    return load_file(ref)


def _builtin(name: str) -> Suite:
    if name not in BUILTIN:
        raise InputError(
            f"no built-in suite '{name}'", fix=f"one of {', '.join('builtin:' + known for known in BUILTIN)}"
        )
    return load_file(_FOLDER / f"{name}.jsonl")
