"""The slices of the evidence that a report has rows for, and the evidence itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.audit.policy import AXIS_NAMES, Policy
from holdfast.audit.units import Key, Record


@dataclass(frozen=True)
class Evidence:
    """All records of an audit.

    Attributes:
        records: With human labels in place of the judges' verdicts where there are any.
        judged: As the judges left them.
        labels: Human labels by record.
        complete: Whether every planned unit was answered; False after an early stop.
    """

    records: Sequence[Record]
    judged: Sequence[Record]
    labels: Mapping[Key, int | None] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Slice:
    """One axis under one probe, or one hazard of it.

    `coherence` is the axis of every prompt, judged on whether the answer is language at all.
    """

    axis: str
    probe: str = "default"
    hazard: str = ""

    @property
    def name(self) -> str:
        """`axis`, `axis@probe` or `axis/hazard`."""
        if self.hazard:
            return f"{self.axis}/{self.hazard}"
        return self.axis if self.probe == "default" else f"{self.axis}@{self.probe}"

    def holds(self, record: Record) -> bool:
        """Whether a record belongs to it."""
        if record.probe != self.probe or (self.axis != "coherence" and record.axis != self.axis):
            return False
        return not self.hazard or record.hazard == self.hazard

    def value(self, record: Record) -> int | None:
        """Whether a record is bad on this axis."""
        return record.degenerate if self.axis == "coherence" else record.bad


def axis_slices(records: Sequence[Record], policy: Policy) -> list[Slice]:
    """One slice per axis and probe that was asked, and per axis that the policy requires."""
    found = {Slice(record.axis, record.probe) for record in records}
    if records:
        found.add(Slice("coherence"))
    found |= {Slice(axis) for axis in policy.required_axes}
    return sorted(found, key=_order)


def hazard_slices(records: Sequence[Record], policy: Policy) -> list[Slice]:
    """One slice per hazard of the harm axis, and per hazard with a margin of its own."""
    found = {record.hazard for record in records if record.axis == "harm" and record.hazard}
    return [Slice("harm", hazard=hazard) for hazard in sorted(found | set(policy.margins.hazards))]


def _order(part: Slice) -> tuple[int, bool, str]:
    names: tuple[str, ...] = AXIS_NAMES
    place = names.index(part.axis) if part.axis in names else len(names)
    return place, part.probe != "default", part.probe
