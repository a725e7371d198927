"""Live traffic: a gateway, a log scanner, drift alarms, canaries, and the way back into review."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.watch.canary import run_canary
    from holdfast.watch.drift import Monitor
    from holdfast.watch.feedback import confirmed_suite, send_incidents
    from holdfast.watch.gateway import Gateway
    from holdfast.watch.policy import WatchPolicy, load_policy
    from holdfast.watch.records import Drainer
    from holdfast.watch.scanning import scan
    from holdfast.watch.schema import prepare
    from holdfast.watch.spool import Spool

_HOMES = {
    "canary": "run_canary",
    "drift": "Monitor",
    "feedback": "confirmed_suite send_incidents",
    "gateway": "Gateway",
    "policy": "WatchPolicy load_policy",
    "records": "Drainer",
    "scanning": "scan",
    "schema": "prepare",
    "spool": "Spool",
}

__all__ = [
    "Drainer",
    "Gateway",
    "Monitor",
    "Spool",
    "WatchPolicy",
    "confirmed_suite",
    "load_policy",
    "prepare",
    "run_canary",
    "scan",
    "send_incidents",
]


def __getattr__(name: str) -> Any:
    """Import a name's module when it is first used: its libraries are optional."""
    for module, names in _HOMES.items():
        if name in names.split():
            return getattr(importlib.import_module(f"holdfast.watch.{module}"), name)
    raise AttributeError(f"module 'holdfast.watch' has no attribute '{name}'")
