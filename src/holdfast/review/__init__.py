"""Decisions by people about doubtful rows, blinded flips and incidents: store, page, export."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.review.adjudication import import_file, write_labels
    from holdfast.review.alpha import Agreement, agreement, alpha_nominal
    from holdfast.review.applying import Applied, apply
    from holdfast.review.choice import ACTIONS, LABELS, Choice
    from holdfast.review.decisions import decide, decide_many, undo
    from holdfast.review.exporting import export
    from holdfast.review.importing import Imported, NewItem, import_items
    from holdfast.review.queries import Filter
    from holdfast.review.screenfolder import import_screen
    from holdfast.review.sheet import read_sheet, write_sheet
    from holdfast.review.store import Store
    from holdfast.review.verifying import Verification, verify

_HOMES = {
    "adjudication": "import_file write_labels",
    "alpha": "Agreement agreement alpha_nominal",
    "applying": "Applied apply",
    "choice": "ACTIONS LABELS Choice",
    "decisions": "decide decide_many undo",
    "exporting": "export",
    "importing": "Imported NewItem import_items",
    "queries": "Filter",
    "screenfolder": "import_screen",
    "sheet": "read_sheet write_sheet",
    "store": "Store",
    "verifying": "Verification verify",
}

__all__ = [
    "ACTIONS",
    "LABELS",
    "Agreement",
    "Applied",
    "Choice",
    "Filter",
    "Imported",
    "NewItem",
    "Store",
    "Verification",
    "agreement",
    "alpha_nominal",
    "apply",
    "decide",
    "decide_many",
    "export",
    "import_file",
    "import_items",
    "import_screen",
    "read_sheet",
    "undo",
    "verify",
    "write_labels",
    "write_sheet",
]


def __getattr__(name: str) -> Any:
    """Import a name's module when it is first used: SQLAlchemy is an optional dependency."""
    for module, names in _HOMES.items():
        if name in names.split():
            return getattr(importlib.import_module(f"holdfast.review.{module}"), name)
    raise AttributeError(f"module 'holdfast.review' has no attribute '{name}'")
