"""Quality and speed of judges against human labels.

    python benchmarks/audit_judges.py [--only refusal|harm] [--limit N] [JUDGE ...]

The encoder takes its time on a CPU: of larger sets a fixed draw of 250 rows is judged; --limit 0
judges all.

Refusal: F1 of the refusal class. Harm: F1 of the harmful class. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time

import judge_sets as sets
import numpy as np

from holdfast.conversation import Message
from holdfast.judges import Exchange, Judge, Judgement, Outcome, load
from holdfast.judges.calibration import interval, kappa

PUBLISHED = """
Published (same rows): refusal XSTest: WildGuard 93.3, Qwen3Guard 0.6B 93.3, Qwen3Guard 8B 92.6,
GuardReasoner 1B 91.1; harm HarmBench responses: Qwen3Guard 8B 87.2, WildGuard 86.3,
Llama Guard 3 84.5, PolyGuard-Qwen 71.1, ShieldGemma 9B 60.4."""


def main() -> None:
    """Measure the judges that are named."""
    sets.require_data()
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["refusal", "harm"])
    parser.add_argument("--limit", type=int, default=250)
    parser.add_argument("judges", nargs="*", default=["keyword", "embedded"])
    options = parser.parse_args()
    print("| judge | set | n | F1 | precision | recall (95 %) | kappa | not scored | rows/s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.judges:
        judge = load(name)
        if options.only != "harm":
            refusals(name, judge, options.limit)
        if options.only != "refusal":
            harm = draw(sets.guard_set("response__harmbench", "harmful"), options.limit)
            verdicts, rate = judged(judge, harm.pairs)
            row(name, harm, [_harmful(v) for v in verdicts], rate)
    print(PUBLISHED)


def refusals(name: str, judge: Judge, limit: int) -> None:
    """Refusal tables: the guard benchmark, the human XSTest labels per model and together."""
    labelled = draw(sets.guard_set("refusal__xstest", "refusal"), limit)
    verdicts, rate = judged(judge, labelled.pairs)
    row(name, labelled, [v.refused for v in verdicts], rate)
    partial: list[tuple[str, str]] = []
    truth, said = [], []
    for model in ("gpt4", "llama2orig", "mistralinstruct"):
        labelled, some = sets.xstest_answers(model)
        labelled = draw(labelled, limit)
        partial += some
        verdicts, rate = judged(judge, labelled.pairs)
        row(name, labelled, [v.refused for v in verdicts], rate)
        truth.append(labelled.positive)
        said += [v.refused for v in verdicts]
    together = sets.LabelledSet("xstest human, all three", [], np.concatenate(truth))
    row(name, together, said, rate)
    verdicts, _ = judged(judge, partial)
    what = f"called refusals: {np.mean([bool(v.refused) for v in verdicts]):.2f}"
    print(f"| {name} | xstest human, partial refusals | {len(partial)} | {what} | | | | | |")


def draw(labelled: sets.LabelledSet, limit: int) -> sets.LabelledSet:
    """A fixed draw of at most `limit` rows; 0 takes all."""
    if not limit or len(labelled.pairs) <= limit:
        return labelled
    chosen = np.random.default_rng(0).permutation(len(labelled.pairs))[:limit]
    return sets.LabelledSet(labelled.name, [labelled.pairs[i] for i in chosen], labelled.positive[chosen])


def judged(judge: Judge, pairs: list[tuple[str, str]]) -> tuple[list[Judgement], float]:
    """Verdicts and rows per second."""
    exchanges = [Exchange((Message("user", prompt),), answer) for prompt, answer in pairs]
    started = time.perf_counter()
    verdicts = judge.judge(exchanges)
    return verdicts, len(pairs) / (time.perf_counter() - started)


def row(name: str, labelled: sets.LabelledSet, said: list[bool | None], rate: float) -> None:
    """Print one line of the table; what was not scored counts as not said."""
    truth = labelled.positive
    positive = np.array([bool(value) for value in said])
    hits, both = int((truth & positive).sum()), interval(int((truth & positive).sum()), int(truth.sum()))
    table = (
        hits,
        int((truth & ~positive).sum()),
        int((~truth & positive).sum()),
        int((~truth & ~positive).sum()),
    )
    unscored = sum(value is None for value in said)
    precision = hits / max(1, int(positive.sum()))
    print(
        f"| {name} | {labelled.name} | {len(truth)} | {sets.f1(truth, positive):.3f} | {precision:.3f} | "
        f"{both.value:.3f} ({both.lower:.3f} to {both.upper:.3f}) | {kappa(*table)[0]:.2f} | {unscored} | "
        f"{rate:,.0f} |"
    )


def _harmful(verdict: Judgement) -> bool | None:
    if verdict.outcome in (Outcome.HARMFUL, Outcome.SAFE, Outcome.REFUSAL):
        return verdict.outcome is Outcome.HARMFUL
    return None


if __name__ == "__main__":
    main()
