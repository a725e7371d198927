"""What a place of deployment asks: does a signed statement let this very model through?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import ExitCode
from holdfast.gate.signing import verify


@dataclass(frozen=True)
class Release:
    """What a signed statement says of a model.

    Attributes:
        result: PASSED, WARNED (with a waiver) or FAILED, as the gate wrote it.
        subject: Digests by name, for instance `tuned:adapter`.
        reasons: Why the model must not be released; empty if it may.
    """

    result: str
    subject: Mapping[str, str]
    reasons: tuple[str, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 released, 1 not."""
        return ExitCode.FAIL if self.reasons else ExitCode.PASS


def check_release(statement: Path, public_key: Path, model: str = "") -> Release:
    """Check a statement's signature, its result, and that it speaks of `model`.

    Args:
        statement: The envelope that `holdfast gate --sign` wrote.
        public_key: PEM file with the Ed25519 public key.
        model: Model or adapter folder about to be deployed; empty: not compared.

    Raises:
        InputError: Not a statement signed with this key, or no such model.
    """
    signed = verify(statement, public_key)
    subject = {entry["name"]: entry["digest"]["sha256"] for entry in signed["subject"]}
    result = str(signed["predicate"].get("result", ""))
    reasons = [] if result in ("PASSED", "WARNED") else [f"the gate did not pass it: {_failed(signed)}"]
    if model:
        reasons += _differs(model, subject)
    return Release(result, subject, tuple(reasons))


def _failed(signed: Mapping[str, Any]) -> str:
    return ", ".join(signed["predicate"].get("failedTests", ())) or "no reason given"


def _differs(model: str, subject: Mapping[str, str]) -> list[str]:
    from holdfast.models import digest

    # An adapter's own digest is what was tuned; the weights below it are the base's.
    tuned = subject.get("tuned:adapter") or subject.get("tuned:weights")
    return [] if digest(model) == tuned else [f"{model} is not the model of this statement"]
