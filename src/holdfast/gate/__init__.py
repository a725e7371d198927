"""Gate: decide pass, fail or inconclusive from evidence and a policy, and write it for machines."""

from __future__ import annotations

from holdfast.gate.decide import Decision, decide
from holdfast.gate.junit import junit
from holdfast.gate.statement import statement
from holdfast.gate.summary import summary
from holdfast.rooms import callable_room

__all__ = ["Decision", "decide", "junit", "statement", "summary"]

callable_room(__name__, "decide")
