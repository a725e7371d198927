"""Guards: training-time defences as composable objects."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.train.config import Guard as GuardSettings
from holdfast.train.config import KLAnchor
from holdfast.train.guards.base import Guard, GuardContext, Step
from holdfast.train.guards.kl_anchor import KLAnchorGuard

__all__ = ["Guard", "GuardContext", "KLAnchorGuard", "Step", "build"]

_BUILDERS = {KLAnchor: KLAnchorGuard}


def build(settings: Sequence[GuardSettings]) -> list[Guard]:
    """The guards that a configuration asks for, in its order."""
    return [_BUILDERS[type(one)](one) for one in settings]
