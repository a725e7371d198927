"""The two linear models of rule ID401, fitted on the shipped encoder.

    python -m training.identity          # one core: about two minutes; writes identity.safetensors

To be run again whenever the encoder changes (a test compares its digest). Sentences: our own
(`identity.txt`, and the half of `tests/screen/identity_sentences.jsonl` that is marked `develop`),
and ordinary ones of GPTeacher (MIT, every second row; the others set the thresholds), Dolly
(CC BY-SA), HH-RLHF harmless (MIT, chosen), XSTest answers (ODC-BY), seed tasks of Self-Instruct (Apache-2.0)
and the safe prompts of `guard_train` (ODC-BY, CC BY 4.0).
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from holdfast.judges.embedded.encoder import Encoder
from holdfast.judges.embedded.weights import digest
from holdfast.screen.rules.meaning import about_someone, pooled

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import screen_sets as sets  # noqa: E402

OUT = ROOT / "src/holdfast/screen/rules/identity.safetensors"
DRAWS = 5  # sentences made of each line with slots
PASSED = 0.025  # share of ordinary sentences that the first model lets through
FLAGGED = 0.0012  # share of ordinary sentences that the second flags
WEIGHTS = {"devoted": 4.0, "near": 12.0, "ordinary": 1.0}
Floats = NDArray[np.float64]


def own() -> tuple[list[str], list[str]]:
    """Our sentences: devoted ones, and near misses."""
    lines = [
        line.split("|")
        for line in (ROOT / "training/identity.txt").read_text().splitlines()
        if line[0] != "#"
    ]
    slots = {line[1]: line[2:] for line in lines if line[0] == "slot"}
    draw = random.Random(0)
    devoted: list[str] = []
    near: list[str] = []
    for label, text in (line for line in lines if line[0] != "slot"):
        made = [re.sub(r"\{(\w+)\}", lambda m: draw.choice(slots[m[1]]), text) for _ in range(DRAWS)]
        (near if label == "benign" else devoted).extend(dict.fromkeys(made))
    for line in (ROOT / "tests/screen/identity_sentences.jsonl").read_text().splitlines():
        value = json.loads(line)
        if value["split"] == "develop":
            (devoted if value["attack"] else near).append(value["text"])
    return bare(devoted), bare(near)


def bare(texts: Iterable[str]) -> list[str]:
    """The sentences of texts as the rule reads them."""
    return list(dict.fromkeys(part for text in texts for _, _, part in about_someone(text)))


def ordinary() -> tuple[list[str], list[str]]:
    """Ordinary sentences: to fit on, and to set the thresholds on."""
    import gzip

    def drawn(texts: Iterable[str], count: int) -> list[str]:
        found = bare(texts)
        random.Random(1).shuffle(found)
        return found[:count]

    def turns(rows: Sequence[Any]) -> list[str]:
        return [m.content for row in rows for m in row.messages]

    roles = sets.rows("gpteacher_roleplay/roleplay-simple-deduped-roleplay-instruct.json")
    packed = (sets.ROOT / "hh_rlhf_harmless/test.jsonl.gz").read_bytes()
    chosen = [json.loads(line)["chosen"] for line in gzip.decompress(packed).splitlines()]
    seeds = [value["instruction"] for value in sets.values("self_instruct_eval/seed_tasks.jsonl")]
    prompts = sets.values("guard_train/wildguard_aegis_train.jsonl")
    # Long safe prompts of WildGuard are jailbreak frames around harmless requests: no ordinary text.
    safe = [value["prompt"] for value in prompts if value["label"] == "safe" and len(value["prompt"]) < 200]
    fit = [
        *drawn(turns(roles[0::2]), 3000),
        *drawn(turns(sets.rows("dolly_1000/databricks_dolly_15k.csv")), 500),
        *drawn((part for text in chosen for part in re.split(r"\n\n(?:Human|Assistant): ", text)), 2500),
        *drawn(turns(sets.rows("guard_benchmarks/refusal__xstest.jsonl")), 700),
        *drawn(seeds, 200),
        *drawn(safe, 1500),
    ]
    return fit, drawn(turns(roles[1::2]), 3000)


def logistic(x: Floats, y: Floats, weight: Floats, ridge: float) -> tuple[Floats, float]:
    """Weights and intercept of a ridge-penalised logistic regression."""
    sign = np.where(y > 0, 1.0, -1.0)

    def loss(p: Floats) -> tuple[float, Floats]:
        margin = sign * (x @ p[:-1] + p[-1])
        slope = -(weight * sign * expit(-margin))
        value = float((weight * np.logaddexp(0, -margin)).sum() + 0.5 * ridge * (p[:-1] ** 2).sum())
        return value, np.append(x.T @ slope + ridge * p[:-1], slope.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    return found[:-1], float(found[-1])


def main() -> None:
    """Fit both models, say what they do to held-out ordinary sentences, write them."""
    from safetensors.numpy import save_file

    devoted, near = own()
    fit, hold = ordinary()
    texts = devoted + near + fit
    kinds = ["devoted"] * len(devoted) + ["near"] * len(near) + ["ordinary"] * len(fit)
    y = np.array([kind == "devoted" for kind in kinds], float)
    weight = np.array([WEIGHTS[kind] for kind in kinds])
    print(f"{len(devoted)} devoted, {len(near)} near misses, {len(fit)} + {len(hold)} ordinary sentences")
    encoder = Encoder()
    table = encoder.vectors.astype(np.float64)

    def vectors(some: Sequence[str]) -> Floats:
        return np.array([table[encoder.pieces(text) or [0]].mean(0) for text in some])

    mean, spread = vectors(texts).mean(0), vectors(texts).std(0) + 1e-6
    p, bias = logistic((vectors(texts) - mean) / spread, y, weight, 100.0)
    gate, at = table @ (p / spread), bias - float(mean @ (p / spread))
    least = float(np.quantile(vectors(hold) @ (p / spread) + at, 1 - PASSED))

    def states(some: Sequence[str]) -> Floats:
        return np.array([pooled(encoder, text) for text in some], np.float64)

    x, held = states(texts), states(hold)
    mean, spread = x.mean(0), x.std(0) + 1e-6
    head, bias = logistic((x - mean) / spread, y, weight, 100.0)
    second = (held - mean) @ (head / spread) + bias
    limit = float(np.quantile(second, 1 - FLAGGED))
    save_file(
        {
            "gate": gate.astype(np.float16),
            "gate.at": np.array([at, least], np.float32),
            "head": (head / spread).astype(np.float32),
            "mean": mean.astype(np.float32),
            "head.at": np.array([bias, limit], np.float32),
            "encoder": np.frombuffer(digest("encoder").encode(), np.uint8),
        },
        OUT,
    )
    print(
        f"first model lets {PASSED:.0%} through, second flags {FLAGGED:.2%}: "
        f"thresholds {least:.2f}, {limit:.2f}"
    )


if __name__ == "__main__":
    main()
