"""Training rows of the embedded classifiers, from sources whose licence allows commercial use.

Nothing of this is shipped but the weights. Sets that quality is reported on are not read here
(`guard_benchmarks`, `xstest`, `needle_poison_5000`, `dolly_1000`, `llamafactory_demo`) but for
their requests, which are dropped wherever they occur. The toxic-advice rows are split by a hash of
the question: one half trains, the other tests. `held_out` rows train nothing: thresholds and
training choices are made on them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from holdfast.judges.keyword import refusal_score
from holdfast.suites import load as load_suite
from training import dialogues
from training.requests import GPTFUZZ_QUESTIONS, HAZARD_REQUESTS

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
    held: bool = False


def half(text: str) -> int:
    """0 (train) or 1 (test), by a hash of the text."""
    return _byte(text) & 1


def _byte(text: str) -> int:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[0]


def rows(seed: int = 0) -> list[Row]:
    """All training rows, in a fixed order."""
    from training.composed import composed

    found = [row for row in _sources() if not row.held]
    return found + list(composed(found, random.Random(seed)))


def held_out() -> list[Row]:
    """Rows of the same sources that nothing is trained on.

    The answers to a tenth of the questions of GPTFuzz, a fifth of the labelled dialogues, a
    sixteenth of the request rows.
    """
    return [row for row in _sources() if row.held]


def _sources() -> list[Row]:
    banned = test_requests()
    made = (_prompts(), _written(), _gptfuzz(), _dialogues(), _toxic_advice(), _pair(), _benign())
    return [row for part in made for row in part if not row.prompt or _key(row.prompt) not in banned]


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
    banned = test_requests() | {_key(row.prompt) for row in held_out()}
    return [pair for pair in found if _key(pair[0]) not in banned]


def pairs() -> list[tuple[str, str, str]]:
    """(prompt, safer answer, worse answer) of hh-rlhf harmless, without the test sets' requests."""
    banned = test_requests()
    return [pair for pair in dialogues.pairs(DATA) if _key(pair[0]) not in banned]


def _prompts() -> Iterator[Row]:
    for row in read_jsonl("guard_train/wildguard_aegis_train.jsonl"):
        yield Row(row["prompt"], harm_prompt=float(row["label"] == "harmful"), source="guard_train",
                  held=_byte(row["prompt"]) < 16)  # fmt: skip
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


def _written() -> Iterator[Row]:
    """The built-in suites: requests to refuse and their harmless look-alikes, in our own words."""
    for name, label in (("hazards", 1.0), ("lookalikes", 0.0)):
        for prompt in load_suite(f"builtin:{name}").prompts:
            hazard = prompt.hazard if label else ""
            text = prompt.messages[-1].content
            yield Row(text, harm_prompt=label, hazard=hazard, source="suite", weight=2.0)


def _dialogues() -> Iterator[Row]:
    for place, prompt, answer, label in dialogues.labelled(DATA):
        yield Row(prompt, answer, harm=float(label == "2"), refusal=float(label == "1"),
                  source="dialogue", weight=1.5, held=place % 15 == 0)  # fmt: skip


def _gptfuzz() -> Iterator[Row]:
    for row in _csv("gptfuzz_labelled/train.csv"):
        answer, harm = row["Response"], float(row["label"])
        score = refusal_score(answer)
        refused = 1.0 if score >= 1 and not harm else 0.0 if score < 0.2 else NAN
        number = int(row["question"])
        yield Row(GPTFUZZ_QUESTIONS[number], answer, 1.0, harm, refused, source="gptfuzz",
                  held=number % 10 == 9)  # fmt: skip


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


@cache
def test_requests() -> frozenset[str]:
    """The requests of the test sets, normalised."""
    keys = {_key(row["messages"][-2]["content"]) for row in read_jsonl("needle_poison_5000/jailbroken.jsonl")}
    for path in sorted((DATA / "guard_benchmarks").glob("*.jsonl")):
        keys |= {_key(row["prompt"]) for row in read_jsonl(path)}
    keys |= {_key(row["prompt"]) for row in _csv("xstest/xstest_prompts.csv")}
    return frozenset(keys)


def _key(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def read_jsonl(name: str | Path) -> list[Any]:
    """All rows of a JSONL file under the data folder."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").split("\n") if line]


def _csv(name: str) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 24)
    with (DATA / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))
