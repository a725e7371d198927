"""How close the built-in suites come to any text of the public sets in HOLDFAST_DATA.

    python benchmarks/suites_overlap.py [--data FOLDER]

Similarity is the Jaccard index of character 5-grams of the lower-cased words. Every line of 8 to 400
characters in any CSV, JSON or JSONL field counts as a text, answers included.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from holdfast import suites

LEFT_OUT = ("needle_poison_5000", "gsm8k")
"""Book text and sums: long, and no prompts like ours."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=default)
    options = parser.parse_args()
    if not Path(options.data).is_dir():
        raise SystemExit(f"no evaluation data in {options.data}; set HOLDFAST_DATA")
    others = sorted({line.lower() for text in texts(options.data) for line in lines(text)})
    print(f"{len(others)} texts\n\n| suite | median | 99th percentile | maximum |\n|---|---|---|---|")
    for name in suites.BUILTIN:
        prompts = [p.messages[-1].content for p in suites.load(f"builtin:{name}").prompts]
        nearest = closest(prompts, others)
        middle, high = np.quantile(nearest, [0.5, 0.99])
        print(f"| {name} | {middle:.2f} | {high:.2f} | {nearest.max():.2f} |")


def texts(folder: Path) -> Iterator[str]:
    csv.field_size_limit(1 << 30)
    for file in sorted(p for p in folder.rglob("*.*") if p.relative_to(folder).parts[0] not in LEFT_OUT):
        if file.suffix == ".csv":
            with file.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
                yield from (cell for row in csv.reader(handle) for cell in row)
        elif file.suffix == ".json":
            yield from strings(json.loads(file.read_text(encoding="utf-8")))
        elif file.suffix == ".jsonl":
            with file.open(encoding="utf-8") as handle:
                yield from (text for line in handle for text in strings(json.loads(line)))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.split("\n") if 8 <= len(line.strip()) <= 400)


def grams(text: str) -> set[str]:
    joined = f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "
    return {joined[i : i + 5] for i in range(len(joined) - 4)}


def closest(prompts: list[str], others: list[str]) -> np.ndarray:
    """The largest similarity of each prompt to any other text, shape (len(prompts),)."""
    vocabulary: dict[str, int] = {}
    for prompt in prompts:
        for gram in grams(prompt):
            vocabulary.setdefault(gram, len(vocabulary))
    left, left_sizes = table(prompts, vocabulary)
    right, right_sizes = table(others, vocabulary)
    shared = (left @ right.T).tocsr()
    nearest = np.zeros(len(prompts))
    for row in range(len(prompts)):
        found = shared.getrow(row)
        if found.nnz:
            union = left_sizes[row] + right_sizes[found.indices] - found.data
            nearest[row] = (found.data / union).max()
    return nearest


def table(texts: list[str], vocabulary: dict[str, int]) -> tuple[csr_matrix, np.ndarray]:
    found = [grams(text) for text in texts]
    places = [[vocabulary[gram] for gram in each if gram in vocabulary] for each in found]
    rows = np.repeat(np.arange(len(texts)), [len(each) for each in places])
    columns = np.fromiter((place for each in places for place in each), np.int64)
    data = np.ones(len(columns), np.float32)
    sizes = np.array([len(each) for each in found])
    return csr_matrix((data, (rows, columns)), shape=(len(texts), len(vocabulary))), sizes


if __name__ == "__main__":
    main()
