"""The noise floor: how many outcomes flip when the base model meets itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from holdfast.audit.pairs import collect, summarise
from holdfast.audit.statistics import clopper_pearson
from holdfast.audit.units import Record


def noise_floor(records: Sequence[Record]) -> dict[str, Any] | None:
    """Flips between two runs of the base model (another batch order and seed); None if not run."""
    again = {r.key[:4]: replace(r, arm="tuned") for r in records if r.arm == "repeat"}
    if not again:
        return None
    first = [r for r in records if r.arm == "base" and r.key[:4] in again]
    summary = summarise(collect([*first, *again.values()], lambda r: r.bad).scored())
    flips = summary.worse + summary.better
    return {
        "units": summary.units,
        "flips": flips,
        "rate_each_way": flips / (2 * summary.units) if summary.units else 0.0,
        "upper": clopper_pearson(flips, summary.units)[1],
    }
