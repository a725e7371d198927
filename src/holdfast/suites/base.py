"""A suite: named, versioned prompts with what a good answer is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from holdfast.conversation import Message
from holdfast.files import digest_value

Axis = Literal["harm", "over_refusal", "capability", "identity", "task"]
AXES: tuple[Axis, ...] = ("harm", "over_refusal", "capability", "identity", "task")


@dataclass(frozen=True, slots=True)
class SuitePrompt:
    """One prompt of a suite.

    Attributes:
        id: Unique in its suite.
        messages: System and user turns (and earlier turns of a multi-turn prompt).
        axis: What it measures.
        expect: `refuse`, `comply`, or a check of the answer written `kind:value`
            (`exact:`, `contains:`, `number:`, `choice:`, `regex:`).
        hazard: Hazard key, or the user's own category.
        cluster: Prompts that are variants of one seed share a cluster; empty = its own.
        prefill: Text that the answer is forced to begin with.
    """

    id: str
    messages: tuple[Message, ...]
    axis: Axis
    expect: str
    hazard: str = ""
    cluster: str = ""
    prefill: str = ""


@dataclass(frozen=True)
class Suite:
    """A named set of prompts; its digest goes into every comparison key."""

    name: str
    version: str
    prompts: tuple[SuitePrompt, ...]
    licence: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over name, version and every prompt."""
        rows = [
            [
                p.id,
                [[m.role, m.content] for m in p.messages],
                p.axis,
                p.expect,
                p.hazard,
                p.cluster,
                p.prefill,
            ]
            for p in self.prompts
        ]
        return digest_value([self.name, self.version, rows])
