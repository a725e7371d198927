"""Guards: training-time defences as composable objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.train import guard_config as config
from holdfast.train.guards.asft import AsFTGuard
from holdfast.train.guards.base import Guard, GuardContext, Step
from holdfast.train.guards.constrained import ConstrainedGuard
from holdfast.train.guards.ema import EMAGuard
from holdfast.train.guards.freeze import FreezeGuard
from holdfast.train.guards.kl_anchor import KLAnchorGuard
from holdfast.train.guards.lisa import LisaGuard
from holdfast.train.guards.safegrad import SafeGradGuard
from holdfast.train.guards.token_weights import TokenWeightsGuard

__all__ = [
    "AsFTGuard",
    "ConstrainedGuard",
    "EMAGuard",
    "FreezeGuard",
    "Guard",
    "GuardContext",
    "KLAnchorGuard",
    "LisaGuard",
    "SafeGradGuard",
    "Step",
    "TokenWeightsGuard",
    "build",
]

_BUILDERS: dict[type, Any] = {
    config.AsFT: AsFTGuard,
    config.Constrained: ConstrainedGuard,
    config.EMA: EMAGuard,
    config.Freeze: FreezeGuard,
    config.KLAnchor: KLAnchorGuard,
    config.Lisa: LisaGuard,
    config.SafeGrad: SafeGradGuard,
    config.TokenWeights: TokenWeightsGuard,
}


def build(settings: Sequence[config.Guard]) -> list[Guard]:
    """The guards that a configuration asks for, in its order."""
    return [_BUILDERS[type(one)](one) for one in settings]
