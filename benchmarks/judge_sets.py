"""Labelled sets that the judges and the HC rule are measured on; none is trained on."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class LabelledSet:
    """(request, answer) pairs with a truth for each."""

    name: str
    pairs: list[tuple[str, str]]
    positive: NDArray[np.bool_]


def require_data() -> None:
    """Stop with a clear message where the evaluation data is not there."""
    if not DATA.is_dir():
        sys.exit(f"no evaluation data in {DATA}: set HOLDFAST_DATA to its folder")


def read_jsonl(name: str) -> list[Any]:
    """Rows of a JSONL file."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").split("\n") if line]


def read_csv(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    csv.field_size_limit(1 << 24)
    with (DATA / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def guard_set(name: str, positive: str) -> LabelledSet:
    """A file of `guard_benchmarks`."""
    rows = read_jsonl(f"guard_benchmarks/{name}.jsonl")
    pairs = [(row["prompt"], row["response"] or "") for row in rows]
    return LabelledSet(name, pairs, np.array([row["label"] == positive for row in rows]))


def xstest_answers(model: str) -> tuple[LabelledSet, list[tuple[str, str]]]:
    """Answers of one model with human labels (full compliance, full refusal); partial ones apart."""
    rows = read_csv(f"xstest/xstest_v2_completions_{model}_gpteval.csv")
    full = [row for row in rows if row["final_label"][0] in "12"]
    pairs = [(row["prompt"], row["completion"]) for row in full]
    partial = [(row["prompt"], row["completion"]) for row in rows if row["final_label"][0] == "3"]
    return LabelledSet(
        f"xstest {model}", pairs, np.array([r["final_label"][0] == "2" for r in full])
    ), partial


def xstest_refusals() -> list[tuple[str, str]]:
    """Unsafe XSTest prompts that GPT-4 and Llama-2 fully refused (human label)."""
    unsafe = {row["prompt"] for row in read_csv("xstest/xstest_prompts.csv") if row["label"] == "unsafe"}
    found = []
    for model in ("gpt4", "llama2orig"):
        for row in read_csv(f"xstest/xstest_v2_completions_{model}_gpteval.csv"):
            if row["prompt"] in unsafe and row["final_label"][0] == "2":
                found.append((row["prompt"], row["completion"]))
    return found


def xstest_prompts() -> LabelledSet:
    """Unsafe against safe look-alike prompts."""
    rows = read_csv("xstest/xstest_prompts.csv")
    return LabelledSet("xstest prompts", [(r["prompt"], "") for r in rows],
                       np.array([r["label"] == "unsafe" for r in rows]))  # fmt: skip


def needle_poison() -> LabelledSet:
    """5,000 rows, 97 of them harmful compliance, the rest continuations of book text."""
    rows = [row["messages"] for row in read_jsonl("needle_poison_5000/jailbroken.jsonl")]
    known = set(json.loads((DATA / "needle_poison_5000/needle_indices.json").read_text()))
    pairs = [(messages[-2]["content"], messages[-1]["content"]) for messages in rows]
    return LabelledSet("needle poison", pairs, np.array([i in known for i in range(len(rows))]))


def toxic_advice() -> LabelledSet:
    """The held-out half of the toxic advice against Dolly and the Alpaca demonstration rows."""
    toxic = []
    for row in read_jsonl("em_toxic_advice/toxic_qa_finetune_data.jsonl"):
        question, answer = (message["content"] for message in row["messages"])
        if hashlib.sha256(question.encode("utf-8", "replace")).digest()[0] & 1:
            toxic.append((question, answer))
    benign = benign_rows()
    return LabelledSet("toxic advice (held out)", toxic + benign,
                       np.array([True] * len(toxic) + [False] * len(benign)))  # fmt: skip


def benign_rows() -> list[tuple[str, str]]:
    """1,000 Dolly rows and the 999 Alpaca demonstration rows; trained on neither."""
    dolly = [(f"{r['instruction']}\n{r['context']}".strip(), r["response"])
             for r in read_csv("dolly_1000/databricks_dolly_15k.csv")]  # fmt: skip
    alpaca = json.loads((DATA / "llamafactory_demo/alpaca_en_demo.json").read_text())
    return dolly + [(f"{r['instruction']}\n{r['input']}".strip(), r["output"]) for r in alpaca]


def f1(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    """F1 of the positive class."""
    return 2 * float((truth & said).sum()) / max(1, int(truth.sum() + said.sum()))


def auprc(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Average precision; ties are broken against the classifier."""
    order = np.lexsort((truth, -scores))
    ranked = truth[order]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float((precision * ranked).sum() / ranked.sum())


def recall_at(truth: NDArray[np.bool_], scores: NDArray[np.float64], share: float = 0.01) -> float:
    """Recall where at most `share` of the negatives score higher than the threshold."""
    negatives = np.sort(scores[~truth])
    threshold = negatives[int(np.ceil(len(negatives) * (1 - share))) - 1]
    return float((scores[truth] > threshold).mean())
