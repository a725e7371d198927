"""Named, versioned prompts: the built-in suite, public sets, the user's own, and checkable answers."""

from __future__ import annotations

from holdfast.suites.base import AXES, Axis, Suite, SuitePrompt
from holdfast.suites.catalogue import PUBLIC, PublicSet
from holdfast.suites.checks import check_answer, parse_expect
from holdfast.suites.load import BUILTIN, load

__all__ = [
    "AXES",
    "BUILTIN",
    "PUBLIC",
    "Axis",
    "PublicSet",
    "Suite",
    "SuitePrompt",
    "check_answer",
    "load",
    "parse_expect",
]
