"""What somebody decides about an item, checked before it is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from holdfast.errors import InputError
from holdfast.review.texts import clean

ACTIONS = ("keep", "drop", "edit", "relabel")
ANSWERS = ("yes", "no", "unsure")
"""What an adjudicated answer of an audit is: the answer to the question that goes with it."""
LABELS = ("safe", "harmful", "refusal", "over_refusal", "incoherent", "other", *ANSWERS)
_DEFAULT_LABEL = {"keep": "safe", "drop": "harmful", "edit": "safe"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody decides about an item.

    Attributes:
        action: `keep`, `drop`, `edit` or `relabel`.
        label: What the item is; `keep` means `safe` and `drop` means `harmful` unless given.
        edited: For `edit`, the row that replaces the original (JSON text of one row).
        why: The reason, in the reviewer's words.
        final: A lead settles an item that reviewers disagree about.
    """

    action: str
    label: str = ""
    edited: str = ""
    why: str = ""
    final: bool = False

    def checked(self) -> Choice:
        """The choice with its default label.

        Raises:
            InputError: Unknown action or label, or an edit without a usable row.
        """
        if self.action not in ACTIONS:
            raise InputError(f"unknown decision '{self.action}'", fix=f"one of {', '.join(ACTIONS)}")
        label = self.label or _DEFAULT_LABEL.get(self.action, "")
        if label not in LABELS:
            raise InputError(f"unknown label '{label}'", fix=f"one of {', '.join(LABELS)}")
        edited = _checked_row(self.edited) if self.action == "edit" else ""
        return Choice(self.action, label, edited, str(clean(self.why))[:4000], self.final)


def _checked_row(text: str) -> str:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"the edited row is not JSON: {error.msg}", line=error.lineno) from None
    if not isinstance(row, dict) or not row:
        raise InputError("the edited row must be one JSON object, like the original")
    return to_json_line(row)


def to_json_line(row: Any) -> str:
    """One row as one line of JSON, in the key order given."""
    return json.dumps(clean(row), ensure_ascii=False, separators=(", ", ": "))
