"""Screen: a linter for fine-tuning data that finds what breaks a model's safety.

`screen` runs the rules over a file and returns a typed report; with `out` it also writes the
kept, doubtful and quarantined rows, byte for byte, and the reports.
"""

from __future__ import annotations

from holdfast.rooms import callable_room
from holdfast.screen.base import (
    BatchRule,
    Configurable,
    FileRule,
    Finding,
    RowRule,
    RuleInfo,
    Severity,
    Verdict,
)
from holdfast.screen.config import RuleSettings, ScreenConfig
from holdfast.screen.report import ScreenReport
from holdfast.screen.run import screen

__all__ = [
    "BatchRule",
    "Configurable",
    "FileRule",
    "Finding",
    "RowRule",
    "RuleInfo",
    "RuleSettings",
    "ScreenConfig",
    "ScreenReport",
    "Severity",
    "Verdict",
    "screen",
]

callable_room(__name__, "screen")
