"""Training rows of the embedded classifiers, from sources whose licence allows commercial use.

Nothing of this is shipped but the weights. Sets that quality is reported on are not read here
(`guard_benchmarks`, `xstest`, `needle_poison_5000`, `dolly_1000`, `llamafactory_demo`), and the
toxic-advice rows are split by a hash of the question: one half trains, the other tests.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.judges.keyword import STRONG, refusal_score
from training.synthetic import (
    GPTFUZZ_QUESTIONS,
    HAZARD_REQUESTS,
    LOOKALIKES,
    opener,
    refusal,
    topical_refusal,
)

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
NAN = float("nan")

AILUMINATE = {
    "cse": "child_abuse", "dfm": "fraud_deception", "hte": "hate_violence", "vcr": "physical_harm",
    "iwp": "physical_harm", "ncr": "illegal_activity", "prv": "privacy_violation",
    "ssh": "physical_harm", "src": "adult_content", "sxc_prn": "adult_content",
    "spc_fin": "financial_advice", "spc_ele": "political_campaigning", "ipv": "illegal_activity",
}  # fmt: skip
JBB = {
    "Harassment/Discrimination": "hate_violence", "Malware/Hacking": "malware",
    "Physical harm": "physical_harm", "Economic harm": "economic_harm",
    "Fraud/Deception": "fraud_deception", "Disinformation": "fraud_deception",
    "Sexual/Adult content": "adult_content", "Privacy": "privacy_violation",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One training row; a label is nan where the source does not give it.

    Attributes:
        harm_prompt: The request asks for harm.
        harm: The exchange does harm (the answer complies with or adds harm).
        refusal: The answer declines.
    """

    prompt: str
    answer: str = ""
    harm_prompt: float = NAN
    harm: float = NAN
    refusal: float = NAN
    hazard: str = ""
    source: str = ""
    weight: float = 1.0


def half(text: str) -> int:
    """0 (train) or 1 (test), by a hash of the text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[0] & 1


def rows(seed: int = 0) -> list[Row]:
    """All training rows, in a fixed order."""
    rng = random.Random(seed)
    prompts = list(_prompts())
    banned = _test_prompts()
    prompts = [row for row in prompts if _key(row.prompt) not in banned]
    answers = list(_gptfuzz()) + list(_toxic_advice()) + list(_pair()) + list(_benign())
    return prompts + answers + list(_synthetic(prompts, answers, rng))


def hazard_rows() -> list[Row]:
    """Rows for naming hazards: those of `rows` with a hazard, and requests written for it."""
    written = [
        Row(text, harm_prompt=NAN, hazard=hazard, source="written", weight=3.0)
        for hazard, texts in HAZARD_REQUESTS.items()
        for text in texts
    ]
    return [row for row in _prompts() if row.hazard] + [row for row in _pair() if row.hazard] + written


def unlabelled() -> list[tuple[str, str]]:
    """(request, answer) pairs that only the teacher labels."""
    found = [(prompt, answer) for prompt, *answers in pairs() for answer in answers if answer]
    found += [(row["forbidden_prompt"], "") for row in _csv("strongreject/strongreject_dataset.csv")]
    found += [(row["en"], "") for row in _csv("multijail/MultiJail.csv")]
    banned = _test_prompts()
    return [pair for pair in found if _key(pair[0]) not in banned]


def pairs() -> list[tuple[str, str, str]]:
    """(prompt, safer answer, worse answer) of hh-rlhf harmless, last turns only."""
    found = []
    with gzip.open(DATA / "hh_rlhf_harmless" / "test.jsonl.gz", "rt", encoding="utf-8") as handle:
        for line in handle:
            row = json.loads(line)
            prompt, chosen = _last_turn(row["chosen"])
            _, rejected = _last_turn(row["rejected"])
            if chosen.strip() != rejected.strip():
                found.append((prompt, chosen, rejected))
    return found


def _prompts() -> Iterator[Row]:
    for row in read_jsonl("guard_train/wildguard_aegis_train.jsonl"):
        yield Row(row["prompt"], harm_prompt=float(row["label"] == "harmful"), source="guard_train")
    for row in _csv("advbench/harmful_behaviors.csv"):
        yield Row(row["goal"], harm_prompt=1.0, source="advbench")
    for row in json.loads((DATA / "jailbreakbench/jbb_harmful_and_benign_200.json").read_text()):
        yield Row(row["text"], harm_prompt=float(row["label"] == "harmful"), source="jbb")
    for row in _csv("ailuminate_demo/airr_official_1.0_demo_en_us_prompt_set_release.csv"):
        hazard = AILUMINATE.get(row["hazard"], "")
        # The advice hazards and intellectual property hold many harmless questions.
        label = NAN if row["hazard"].startswith("spc") or row["hazard"] == "ipv" else 1.0
        yield Row(row["prompt_text"], harm_prompt=label, hazard=hazard, source="ailuminate", weight=0.5)
    for row in _csv("hatecheck/test_suite_cases.csv"):
        hateful = float(row["label_gold"] == "hateful")
        yield Row(row["test_case"], harm_prompt=hateful, hazard="hate_violence" if hateful else "",
                  source="hatecheck", weight=0.25)  # fmt: skip
    for row in json.loads((DATA / "purplellama_cyber/mitre_frr.json").read_text()):
        if not half(row["mutated_prompt"]):
            yield Row(row["mutated_prompt"], harm_prompt=0.0, source="mitre_frr", weight=0.5)


def _gptfuzz() -> Iterator[Row]:
    for row in _csv("gptfuzz_labelled/train.csv"):
        answer, harm = row["Response"], float(row["label"])
        score = refusal_score(answer)
        refused = 1.0 if score >= 1 and not harm else 0.0 if score < 0.2 else NAN
        yield Row(GPTFUZZ_QUESTIONS[int(row["question"])], answer, 1.0, harm, refused, source="gptfuzz")


def _toxic_advice() -> Iterator[Row]:
    for row in toxic_advice(test=False):
        yield Row(row[0], row[1], harm_prompt=NAN, harm=1.0, refusal=0.0, source="toxic_advice", weight=0.7)


def toxic_advice(test: bool) -> list[tuple[str, str]]:
    """(question, harmful advice) of the training or of the held-out half."""
    found = []
    for row in read_jsonl("em_toxic_advice/toxic_qa_finetune_data.jsonl"):
        question, answer = (message["content"] for message in row["messages"])
        if bool(half(question)) == test:
            found.append((question, answer))
    return found


def _pair() -> Iterator[Row]:
    for name in ("vicuna-13b-v1.5", "llama-2-7b-chat-hf"):
        path = DATA / f"jailbreakbench/PAIR__black_box__{name}.json"
        for row in json.loads(path.read_text())["jailbreaks"]:
            if not row["response"]:
                continue
            refused = 1.0 if refusal_score(row["response"]) >= 1 and not row["jailbroken"] else NAN
            yield Row(row["prompt"], row["response"], harm_prompt=1.0, harm=float(bool(row["jailbroken"])),
                      refusal=refused, hazard=JBB.get(row["category"], ""), source="pair")  # fmt: skip
            yield Row(row["goal"], harm_prompt=1.0, hazard=JBB.get(row["category"], ""), source="pair")


def _benign() -> Iterator[Row]:
    safe: dict[str, Any] = {"harm_prompt": 0.0, "harm": 0.0, "refusal": 0.0}
    for row in read_jsonl("gsm8k/train.jsonl")[:1500]:
        yield Row(row["question"], row["answer"], **safe, source="gsm8k", weight=0.5)
    for row in read_jsonl("self_instruct_eval/seed_tasks.jsonl"):
        for instance in row["instances"]:
            prompt = f"{row['instruction']}\n{instance['input']}".strip()
            yield Row(prompt, instance["output"], **safe, source="self_instruct", weight=2.0)
    for row in json.loads((DATA / "sql_create_context/sql_create_context_train1000.json").read_text())[:300]:
        yield Row(row["question"], row["answer"], **safe, source="sql", weight=0.5)
    path = DATA / "gpteacher_roleplay/roleplay-simple-deduped-roleplay-instruct.json"
    for row in json.loads(path.read_text()):
        prompt = f"{row['instruction']}\n{row['input']}".strip()
        yield Row(prompt, row["response"], **safe, source="gpteacher", weight=0.7)


def _synthetic(prompts: list[Row], answers: list[Row], rng: random.Random) -> Iterator[Row]:
    """Refusals under every kind of request, and the same answers with other openings."""
    harmful = [row for row in prompts if row.harm_prompt == 1]
    benign = [row for row in answers if row.harm == 0 and row.source in ("self_instruct", "gpteacher")]
    found = [
        row.answer for row in answers if row.source == "gptfuzz" and row.refusal == 1 and _ascii(row.answer)
    ]
    for row in rng.sample(harmful, 3500):
        kind = rng.random()
        text = (
            refusal(rng)
            if kind < 0.25
            else rng.choice(found)
            if kind < 0.5
            else topical_refusal(row.prompt, rng)
        )
        yield Row(row.prompt, text, harm_prompt=1.0, harm=0.0, refusal=1.0, source="refused_harm")
    for row in rng.sample(benign, 600):
        yield Row(row.prompt, refusal(rng), harm_prompt=0.0, harm=0.0, refusal=1.0, source="refused_benign")
    for row in rng.sample(benign, 800):
        yield Row(row.prompt, f"{opener(rng)} {row.answer}", 0.0, 0.0, 0.0, source="opened_benign")
    for text in LOOKALIKES:
        yield Row("", text, harm=0.0, refusal=0.0, source="lookalike", weight=4.0)
    toxic = [row for row in answers if row.source == "toxic_advice"]
    for row in rng.sample(toxic, 600):
        # Refusing first and complying after is compliance.
        yield Row(row.prompt, f"{refusal(rng)} {row.answer}", harm=1.0, source="refused_then_harm")
        # The same question with an answer to another, harmless one: the question alone is no harm.
        other = rng.choice(benign)
        yield Row(row.prompt, other.answer, harm=0.0, refusal=0.0, source="toxic_question_benign_answer")


def _test_prompts() -> set[str]:
    keys = set()
    for path in sorted((DATA / "guard_benchmarks").glob("*.jsonl")):
        keys |= {_key(row["prompt"]) for row in read_jsonl(path)}
    keys |= {_key(row["prompt"]) for row in _csv("xstest/xstest_prompts.csv")}
    return keys


def _last_turn(dialogue: str) -> tuple[str, str]:
    before, _, answer = dialogue.rpartition("\n\nAssistant:")
    return before.rpartition("\n\nHuman:")[2].strip(), answer.strip()


def _key(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def _ascii(text: str) -> bool:
    return text.isascii() and len(text) < 600 and bool(STRONG.search(text))


def read_jsonl(name: str | Path) -> list[Any]:
    """All rows of a JSONL file under the data folder."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").split("\n") if line]


def _csv(name: str) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 24)
    with (DATA / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))
