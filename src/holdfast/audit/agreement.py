"""How often two judges disagree, per arm: a judge that errs more on one arm shows here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.audit.units import Record


def agreement(records: Sequence[Record]) -> dict[str, Any] | None:
    """Answers that both judges saw, and those they call differently, by arm; None with one judge."""
    both = [r for r in records if r.second is not None and r.bad is not None and r.arm != "repeat"]
    if not both:
        return None
    return {
        arm: {
            "both": sum(r.arm == arm for r in both),
            "differ": sum(r.arm == arm and r.bad != r.second for r in both),
        }
        for arm in ("base", "tuned")
    }
