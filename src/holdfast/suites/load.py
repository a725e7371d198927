"""Opening suites by reference."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import InputError
from holdfast.suites.base import Suite
from holdfast.suites.catalogue import BY_NAME
from holdfast.suites.public import load_public
from holdfast.suites.user import load_file

BUILTIN = ("hazards", "lookalikes", "capability", "identity")
_FOLDER = Path(__file__).parent / "builtin"


def load(ref: str | Path) -> Suite:
    """Open the suite that `ref` names.

    Args:
        ref: `builtin:NAME`; the path of a CSV, JSONL or JSON file; `NAME:PATH` for a public set
            on disk, `NAME@hub` for one from the Hugging Face hub (names: `suites.PUBLIC`); or
            `recorded:FILE`, the prompts of recorded answers.

    Raises:
        InputError: There is no such suite, or its file cannot be used.
    """
    text = str(ref)
    name, _, place = text.rpartition("@")
    if place == "hub" and name in BY_NAME:
        return load_public(BY_NAME[name], None)
    kind, separator, target = text.partition(":")
    if isinstance(ref, Path) or not separator:
        return _file(ref)
    if kind == "builtin":
        return _builtin(target)
    if kind == "recorded":
        from holdfast.suites.recorded import load_recorded

        return load_recorded(target)
    if kind in BY_NAME:
        return load_public(BY_NAME[kind], target)
    return _file(ref)


def _file(ref: str | Path) -> Suite:
    if not Path(ref).exists():
        raise InputError(
            "no such suite",
            path=str(ref),
            fix="name a file, "
            + ", ".join(f"builtin:{name}" for name in BUILTIN)
            + f", or a public set as NAME:PATH or NAME@hub ({', '.join(BY_NAME)})",
        )
    return load_file(ref)


def _builtin(name: str) -> Suite:
    if name not in BUILTIN:
        fix = f"one of {', '.join('builtin:' + known for known in BUILTIN)}"
        raise InputError(f"no built-in suite '{name}'", fix=fix)
    return load_file(_FOLDER / f"{name}.jsonl")
