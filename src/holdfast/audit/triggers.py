"""Triggers that the screen found in the tuning data, as texts to probe with."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.errors import InputError
from holdfast.files import read_json

_NAMED = re.compile(r'trigger ((?:"[^"]*"(?: \+ )?)+)')


def found_triggers(path: Path) -> list[str]:
    """The phrases of the `BD` findings of a `screen.json`, each once; several parts are joined.

    Raises:
        InputError: The file is no output of `holdfast screen`.
    """
    report = read_json(path)
    if not isinstance(report, dict) or "file_findings" not in report:
        raise InputError("is not an output of holdfast screen", path=path, fix="give its screen.json")
    found: dict[str, None] = {}
    for finding in report["file_findings"]:
        named = _NAMED.search(str(finding.get("reason", "")))
        if str(finding.get("code", "")).startswith("BD") and named:
            found[" ".join(re.findall(r'"([^"]*)"', named[1]))] = None
    return list(found)
