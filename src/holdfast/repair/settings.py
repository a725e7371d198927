"""The settings of repairs, checked before any weight is read."""

from __future__ import annotations

import math

from holdfast.errors import InputError


def finite(**values: float) -> None:
    """Refuse NaN and infinity.

    Raises:
        InputError: Names the setting.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise InputError(f"{name} must be a finite number, not {value}")


def at_least_one(**values: int | None) -> None:
    """Refuse counts below 1; None is no count.

    Raises:
        InputError: Names the setting.
    """
    for name, value in values.items():
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
