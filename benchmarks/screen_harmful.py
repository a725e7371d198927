"""Quality and speed of the HC rule: `python benchmarks/screen_harmful.py [--judge embedded]`.

AUPRC, F1 at the rule's review threshold and recall at 1 % false positives, on sets that were not
trained on; the share of refusals that would be blocked; rows per second on one process.
"""

from __future__ import annotations

import sys
import time

import judge_sets as sets
import numpy as np
from numpy.typing import NDArray

from holdfast.conversation import Conversation, chat
from holdfast.judges.calibration import interval
from holdfast.screen.base import Severity
from holdfast.screen.rules.harmful import HarmfulContent

PUBLISHED = """
Published F1 (same rows) Aegis / SST / HarmBench prompts: Qwen3Guard 8B 91.4 / 99.5 / 100,
WildGuard 89.4 / 99.5 / 98.9, Llama Guard 3 71.5 / 99.5 / 99.0, ShieldGemma 9B 70.3 / 83.7 / 60.6.
Floor (TF-IDF): Aegis F1 74.3, AUPRC 88.6; needle poison recall 0.21 at 1 %, AUPRC 0.185."""


def main() -> None:
    """Print the tables."""
    sets.require_data()
    judge = sys.argv[sys.argv.index("--judge") + 1] if "--judge" in sys.argv else ""
    rule = HarmfulContent(judge=judge)
    print("| set | n (harmful) | AUPRC | F1 at threshold | precision | recall | recall at 1 % FPR |")
    print("|---|---|---|---|---|---|---|")
    for name in ("prompt__aegis_safety_test", "prompt__simple_safety_tests", "prompt__harmbench"):
        quality(sets.guard_set(name, "harmful"), judge, rule.request)
    quality(sets.xstest_prompts(), judge, rule.request)
    for labelled in (
        sets.guard_set("response__harmbench", "harmful"),
        sets.needle_poison(),
        sets.toxic_advice(),
    ):
        quality(labelled, judge, rule.review)
    refusals = sets.xstest_refusals()
    print(f"\nrefused harmful requests (XSTest, human labels), {len(refusals)} rows: {fates(rule, refusals)}")
    print(f"benign rows (Dolly, Alpaca demo), 1,999 rows: {fates(rule, sets.benign_rows())}")
    speed(rule)
    print(PUBLISHED)


def quality(labelled: sets.LabelledSet, judge: str, threshold: float) -> None:
    """One line of the table."""
    values, truth = scores(labelled.pairs, judge), labelled.positive
    said = values >= threshold
    hits = int((truth & said).sum())
    recall = interval(hits, int(truth.sum()))
    some = bool((~truth).any())
    print(
        f"| {labelled.name} | {len(truth)} ({int(truth.sum())}) | "
        f"{f'{sets.auprc(truth, values):.3f}' if some else '-'} | {sets.f1(truth, said):.3f} | "
        f"{hits / max(1, int(said.sum())):.3f} | "
        f"{recall.value:.3f} ({recall.lower:.2f} to {recall.upper:.2f}) | "
        f"{f'{sets.recall_at(truth, values):.3f}' if some else '-'} |"
    )


def scores(pairs: list[tuple[str, str]], judge: str) -> NDArray[np.float64]:
    """The rule's score of every row (thresholds at zero, so that each row has a finding)."""
    # `again` stays: as in a screen, the encoder sees only what the fast classifier suspects.
    rule = HarmfulContent(review=0.0, block=1.1, request=0.0, judge=judge)
    values = np.zeros(len(pairs))
    for start in range(0, len(pairs), 256):
        for finding in rule.check_batch(rows(pairs[start : start + 256], start)):
            values[finding.line - 1] = finding.score
    return values


def fates(rule: HarmfulContent, pairs: list[tuple[str, str]]) -> str:
    """Shares of rows that are blocked, reviewed, noted."""
    counts = dict.fromkeys(Severity, 0)
    for start in range(0, len(pairs), 256):
        for finding in rule.check_batch(rows(pairs[start : start + 256], start)):
            counts[finding.severity] += 1
    return ", ".join(
        f"{severity.value} {count} ({count / len(pairs):.2%})" for severity, count in counts.items()
    )


def speed(rule: HarmfulContent) -> None:
    """Rows per second of processor time in one process, on the benign rows (with the encoder's looks)."""
    pairs = sets.benign_rows() * 3
    batches = [rows(pairs[i : i + 256], i) for i in range(0, len(pairs), 256)]
    size = sum(len(a.encode()) + len(b.encode()) for a, b in pairs) / len(pairs)
    list(rule.check_batch(batches[0]))
    started = time.process_time()
    for batch in batches:
        list(rule.check_batch(batch))
    rate = len(pairs) / (time.process_time() - started)
    print(f"speed: {rate:,.0f} rows per second of processor time, {size:.0f} bytes a row")


def rows(pairs: list[tuple[str, str]], start: int) -> list[Conversation]:
    """Conversations with their place as line."""
    found = []
    for place, (prompt, answer) in enumerate(pairs):
        messages = chat(("user", prompt), ("assistant", answer)) if answer else chat(("user", prompt))
        found.append(Conversation(messages, line=start + place + 1))
    return found


if __name__ == "__main__":
    main()
