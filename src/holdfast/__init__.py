"""Holdfast: fine-tune a language model without losing its safety, and prove it.

`holdfast.screen(...)`, `.mix(...)`, `.train(...)`, `.audit(...)`, `.repair(...)`, `.gate(...)` and
`.run(...)` are the stages as functions; the packages of the same names hold their parts. Each is
imported when it is first used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "audit", "gate", "mix", "repair", "run", "screen", "train"]

_ROOMS = ("audit", "gate", "mix", "repair", "screen", "train")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"holdfast.{name}")
    if name == "run":
        from holdfast.pipeline import run

        return run
    raise AttributeError(f"module 'holdfast' has no attribute '{name}'")
