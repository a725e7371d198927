"""Gate: decide pass, fail or inconclusive from evidence and a policy, and write it for machines."""

from __future__ import annotations

from holdfast.gate.decide import Decision, decide
from holdfast.gate.junit import junit
from holdfast.gate.release import Release, check_release
from holdfast.gate.signing import sign, verify
from holdfast.gate.statement import statement
from holdfast.gate.summary import summary
from holdfast.rooms import callable_room

__all__ = [
    "Decision",
    "Release",
    "check_release",
    "decide",
    "junit",
    "sign",
    "statement",
    "summary",
    "verify",
]

callable_room(__name__, "decide")
