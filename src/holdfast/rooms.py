"""Rooms that are also functions: `holdfast.screen("data.jsonl")` and `from holdfast.screen import rules`.

A verb and its package share a name, and importing a subpackage always sets that name on
`holdfast`. So the package itself is made callable, through the documented assignment to a
module's `__class__`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallableRoom(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the room's main function."""
        return getattr(self, self.__dict__["_main"])(*args, **kwargs)


def callable_room(name: str, main: str) -> None:
    """Make the module `name` callable as its function `main`."""
    module = sys.modules[name]
    module.__dict__["_main"] = main
    module.__class__ = _CallableRoom
