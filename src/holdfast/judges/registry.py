"""From a name to a judge: built in, registered by entry point, or the user's own object."""

from __future__ import annotations

import importlib
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from holdfast.errors import InputError
from holdfast.judges.base import Judge

GROUP = "holdfast.judges"
BUILT_IN = ("keyword", "embedded", "guard:KIND=MODEL", "rubric:KIND=MODEL")


def load(name: str, *, cache: Path | None = None) -> Judge:
    """The judge that a reference names.

    References: `keyword`, `embedded`; `guard:KIND=MODEL` and `rubric:KIND=MODEL` with any model
    reference; an entry point of the group `holdfast.judges`; `module:attr` (an object, a class or
    a function without arguments); `first+second` (second opinion on positives); `first~second`
    (second judge where the first is unsure).

    Args:
        name: The reference.
        cache: Folder where the replies of guards and rubric models are kept as they come, so that
            none is asked for twice; None for none.

    Raises:
        InputError: No such judge, or it cannot be imported.
    """
    combined = re.fullmatch(r"(\w[\w.-]*)([+~])(.+)", name)
    if combined is not None:
        first, mark, second = combined.groups()
        return (_second_opinion if mark == "+" else _cascade)(
            load(first, cache=cache), load(second, cache=cache)
        )
    kind, _, rest = name.partition(":")
    if kind == "guard":
        from holdfast.judges.guards import load_guard

        return load_guard(rest, cache=cache)
    if kind == "rubric":
        from holdfast.judges.rubric import load_rubric

        return load_rubric(rest, cache=cache)
    if name == "keyword":
        from holdfast.judges.keyword import KeywordJudge

        return KeywordJudge()
    if name == "embedded":
        from holdfast.judges.embedded import EmbeddedJudge

        return EmbeddedJudge()
    return _registered(name)


def names() -> tuple[str, ...]:
    """Built-in and registered names."""
    return (*BUILT_IN, *sorted({entry.name for entry in entry_points(group=GROUP)}))


def _registered(name: str) -> Judge:
    for entry in entry_points(group=GROUP, name=name):
        return _instance(name, entry.load())
    module, found, attribute = name.partition(":")
    if not found:
        raise InputError(f"unknown judge '{name}'", fix=f"one of {', '.join(names())}, or module:attr")
    try:
        return _instance(name, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise InputError(f"cannot load judge '{name}': {error}") from error


def _instance(name: str, target: Any) -> Judge:
    judge = target() if isinstance(target, type) or not isinstance(target, Judge) else target
    if not isinstance(judge, Judge):
        raise InputError(f"'{name}' is not a judge: it lacks name, family, version or judge()")
    return judge


def _second_opinion(first: Judge, second: Judge) -> Judge:
    from holdfast.judges.combine import SecondOpinion

    return SecondOpinion(first, second)


def _cascade(first: Judge, second: Judge) -> Judge:
    from holdfast.judges.combine import Cascade

    return Cascade(first, second)
