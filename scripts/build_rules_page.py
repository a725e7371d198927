"""Write `docs/rules.md` from the pages that the rules carry.

Run: python scripts/build_rules_page.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.files import write_text
from holdfast.screen.base import RuleInfo
from holdfast.screen.options import Threshold
from holdfast.screen.ruleset import infos, thresholds

TARGET = Path(__file__).parents[1] / "docs/rules.md"
FAMILIES = {
    "AN": "Anomalies of a set",
    "BD": "Backdoors",
    "EN": "Encoded and hidden text",
    "FM": "Format",
    "HC": "Harmful content",
    "ID": "Identity shift and obedience",
    "PI": "Prompt injection",
    "RS": "Refusal suppression",
    "SA": "Safety-eroding benign rows",
    "SE": "Secrets and personal data",
}
HEAD = """# Rules

Generated from the rules themselves by `python scripts/build_rules_page.py`; `holdfast screen --explain CODE`
prints the same page. How well the rules do is on [their measurements](screen_rules.md).
"""


def main() -> None:
    """Write the page."""
    pages, known = infos(), thresholds()
    parts = [HEAD, _index(pages)]
    for family, title in FAMILIES.items():
        parts.append(f"## {family}: {title}\n")
        parts += [_page(info, known.get(code, ())) for code, info in pages.items() if code.startswith(family)]
    write_text(TARGET, "\n".join(parts).rstrip() + "\n")
    print(f"{TARGET.name}: {len(pages)} rules")


def _index(pages: dict[str, RuleInfo]) -> str:
    lines = [
        f"| [{c}](#{c.lower()}-{i.name}) | {i.name} | {i.severity} | {i.summary} |" for c, i in pages.items()
    ]
    return "\n".join(["| code | name | default | what |", "|---|---|---|---|", *lines, ""])


def _page(info: RuleInfo, options: Sequence[Threshold]) -> str:
    lines = [
        f"### {info.code} {info.name}\n",
        f"{info.summary} Default: **{info.severity}**.\n",
        f"*Why:* {info.why}\n",
    ]
    if info.limits:
        lines.append(f"*Does not see:* {info.limits}\n")
    if options:
        lines.append("Thresholds (`options`):\n")
        lines += [f"- `{option.name}` (default `{option.default!r}`): {option.words}." for option in options]
        lines.append("")
    for label, example in (("Fires on", info.fires), ("Not on", info.passes)):
        if shown := _example(example):
            lines.append(f"{label}: {shown}\n")
    return "\n".join(lines)


def _example(example: Any) -> str:
    """A row as one line of JSON; file rules and invisible text are told by number instead."""
    if example is None:
        return ""
    if isinstance(example, bytes):
        return f"`{example.decode('utf-8', 'backslashreplace')}`"
    if isinstance(example, list) and example and isinstance(example[0], list):
        return f"a file of {len(example)} rows (see the rule's source)."
    text = json.dumps(example, ensure_ascii=True)
    return f"`{text if len(text) <= 400 else text[:397] + '...'}`"


if __name__ == "__main__":
    main()
