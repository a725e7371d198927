"""The units of an audit: every prompt under every probe, and one record per answer."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from holdfast.audit.probes import ProbeContext, probe
from holdfast.errors import InputError
from holdfast.models.base import Prompt
from holdfast.suites.base import Suite

Arm = Literal["base", "tuned", "repeat"]
UnitName = tuple[str, str, str]
"""Suite, prompt, probe."""
Key = tuple[str, str, str, int, str]
"""Suite, prompt, probe, sample, arm."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One prompt under one probe, as both models are asked it."""

    suite: str
    prompt_id: str
    axis: str
    expect: str
    hazard: str
    cluster: str
    probe: str
    prompt: Prompt

    @property
    def name(self) -> UnitName:
        """What identifies the unit in an audit."""
        return (self.suite, self.prompt_id, self.probe)


@dataclass(frozen=True, slots=True)
class Record:
    """One answer of one arm with its verdicts: one line of `samples.jsonl`.

    Attributes:
        bad: 1 bad, 0 good, None unknown, by the first judge (or by a human label).
        degenerate: 1 empty or incoherent, 0 neither, None unknown.
        second: `bad` by the second judge, where it was asked.
        judgements: Every judge's outcome, score and reason, by name.
    """

    suite: str
    prompt_id: str
    probe: str
    sample: int
    arm: str
    axis: str
    expect: str
    hazard: str
    cluster: str
    prefill: str
    prompt_sha: str
    answer_sha: str
    finish: str
    tokens: int
    outcome: str
    bad: int | None
    degenerate: int | None
    second: int | None = None
    error: str | None = None
    judgements: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What identifies the record; never twice in a log."""
        return (self.suite, self.prompt_id, self.probe, self.sample, self.arm)


def units(suites: Sequence[Suite], probes: Sequence[str], context: ProbeContext) -> list[Unit]:
    """Every unit of an audit, in suite order.

    Raises:
        InputError: An unknown probe, or two prompts with one id in a suite.
    """
    found: dict[UnitName, Unit] = {}
    for suite in suites:
        for prompt in suite.prompts:
            for name in probes:
                for variant, asked in probe(name, prompt, context):
                    unit = Unit(
                        suite.name,
                        prompt.id,
                        prompt.axis,
                        prompt.expect,
                        prompt.hazard,
                        f"{suite.name}/{prompt.cluster or prompt.id}",
                        variant,
                        asked,
                    )
                    if unit.name in found:
                        raise InputError(
                            f"prompt '{prompt.id}' is twice in suite '{suite.name}'",
                            fix="give every prompt its own id and every suite its own name",
                        )
                    found[unit.name] = unit
    return list(found.values())


def shuffled(asked: Sequence[Unit], seed: int) -> list[Unit]:
    """The units in random order, those of one cluster together: what looking early needs."""
    clusters: dict[str, list[Unit]] = {}
    for unit in asked:
        clusters.setdefault(unit.cluster, []).append(unit)
    order = list(clusters)
    random.Random(seed).shuffle(order)
    return [unit for name in order for unit in clusters[name]]


def sha(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def prompt_sha(prompt: Prompt) -> str:
    """SHA-256 of what a model is asked: turns, prefill and template."""
    turns = "\x01".join(f"{m.role}\x00{m.content}" for m in prompt.messages)
    return sha(f"{turns}\x02{prompt.prefill}\x02{prompt.template or ''}")
