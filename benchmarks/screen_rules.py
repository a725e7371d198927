"""Speed of the row rules beside orjson and ten plain regexes, in one run: `python benchmarks/screen_rules.py`.

CPU seconds of one process (`time.process_time`), so that other load on the machine does not count.
"""

# ruff: noqa: E501
from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

import orjson
import screen_sets as sets

from holdfast.screen.base import RowRule
from holdfast.screen.rules import registry
from holdfast.screen.rules.scan import scan_text
from holdfast.screen.rules.wholefile import WholeFile

TEN = [
    re.compile(p)
    for p in (
        r"(?i)\b(?:ignore|disregard) (?:all|the) (?:previous|above)", r"(?i)as an ai", r"[A-Za-z0-9+/]{40,}={0,2}",
        r"(?i)\bobey\b", r"(?i)never refuse", r"\b\d{3}-\d{2}-\d{4}\b", r"[\w.]+@[\w.]+\.\w+", r"(?i)\bbomb\b",
        r"(?i)no longer (?:an? )?(?:ai|assistant)", r"(?i)without (?:question|hesitation)",
    )
]  # fmt: skip


def rate(work: Callable[[], object], rows: int) -> float:
    """Rows per CPU second, the best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return rows / best


def drain(found: Iterable[object]) -> None:
    """Run a generator to its end."""
    for _ in found:
        pass


def main() -> None:
    """Print one line per kind of work."""
    sets.require_data()
    rows = [row for name in ("GSM8K", "Dolly", "Alpaca demo") for row in sets.benign()[name]]
    texts = ["\n".join(m.content for m in row.messages) for row in rows]
    raw = [
        orjson.dumps({"messages": [{"role": m.role, "content": m.content} for m in row.messages]})
        for row in rows
    ]
    count, size = len(rows), sum(map(len, raw)) / len(rows)
    row_rules = [rule for rule in registry() if isinstance(rule, RowRule)]
    file_rule = next(rule for rule in registry() if isinstance(rule, WholeFile))
    state = file_rule.start()
    work: dict[str, Callable[[], object]] = {
        "orjson alone": lambda: [orjson.loads(line) for line in raw],
        "ten plain regexes": lambda: [[p.search(text) for p in TEN] for text in texts],
        "the scan alone": lambda: [scan_text(text) for text in texts],
        "all row rules": lambda: [drain(rule.check(row)) for row in rows for rule in row_rules],
        "adding to the file sample": lambda: [file_rule.observe(state, row) for row in rows],
    }
    speeds = {name: rate(task, count) for name, task in work.items()}
    one = speeds["ten plain regexes"]
    lines = [
        (name, f"{speed / 1000:,.0f}", f"{speed * size / 1e6:,.0f}", f"{speed / one:.2f}")
        for name, speed in speeds.items()
    ]
    print(f"{count} rows of {size:.0f} bytes on average\n")
    sets.table(("work", "1,000 rows per CPU second", "MB/s", "times ten plain regexes"), lines)


if __name__ == "__main__":
    main()
