"""What ordinary files get from all rules but HC: `python benchmarks/screen_ordinary.py`.

Share of rows by verdict from row rules, and the file findings by code.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import screen_sets as sets

from holdfast.screen.base import RowRule, Severity
from holdfast.screen.rules import registry
from holdfast.screen.rules.wholefile import WholeFile


def main() -> None:
    """Print one line per set."""
    sets.require_data()
    files = sets.benign() | {
        "GPTeacher role-play": sets.rows("gpteacher_roleplay/roleplay-simple-deduped-roleplay-instruct.json"),
        "XSTest answers (GPT-4)": sets.rows("guard_benchmarks/refusal__xstest.jsonl"),
    }
    rules = registry()
    row_rules = [rule for rule in rules if isinstance(rule, RowRule)]
    file_rule = next(rule for rule in rules if isinstance(rule, WholeFile))
    lines = []
    for name, rows in files.items():
        verdicts: Counter[Severity] = Counter()
        codes: Counter[str] = Counter()
        state = file_rule.start()
        for line, row in enumerate(rows, 1):
            row = replace(row, line=line)
            found = [f for rule in row_rules for f in rule.check(row) if not f.code.startswith("HC")]
            codes.update({f.code for f in found if f.severity is not Severity.NOTE})
            verdicts[max((f.severity for f in found), key=list(Severity).index, default=Severity.NOTE)] += 1
            file_rule.observe(state, row)
        whole = Counter(f.code for f in file_rule.finish(state))
        lines.append(
            (
                name,
                len(rows),
                f"{verdicts[Severity.REVIEW] / len(rows):.2%}",
                f"{verdicts[Severity.BLOCK] / len(rows):.2%}",
                ", ".join(f"{code} {n}" for code, n in codes.most_common(4)),
                ", ".join(f"{code} {n}" for code, n in sorted(whole.items())),
            )
        )
    sets.table(("set", "rows", "review", "block", "row rules that asked for it", "file findings"), lines)


if __name__ == "__main__":
    main()
