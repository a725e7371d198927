"""Public prompt sets that can be loaded by name: where they lie, what their columns mean.

No row of any of them is shipped: they are read from the user's disk, or from the Hugging Face hub
with the user's own access.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from holdfast.suites.table import Row

Benign = Callable[[Row, str], bool]
Keep = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class PublicSet:
    """How a public set is read. Columns are tried in order, since mirrors rename them.

    Attributes:
        key: Name in references (`advbench:PATH`, `advbench@hub`).
        title: Name for people.
        licence: Licence and terms, in short.
        hub: Data set on the Hugging Face hub; empty where there is none.
        files: Patterns of its files in a folder; the first that matches anything counts.
        prompt: Columns that may hold the prompt.
        context: Columns that may hold a text to put before the prompt.
        category: Columns that may hold the category.
        hazards: From category to hazard key; other categories keep their own name.
        id: Columns that may hold the id.
        pair: Columns whose equal values tie prompts into one cluster.
        languages: Columns that hold the prompt in several languages, instead of `prompt`.
        benign: Which rows (with their file's name) are benign and must be answered.
        keep: Which rows belong to the suite.
        header: Column names where the files have no header row.
    """

    key: str
    title: str
    licence: str
    hub: str = ""
    files: tuple[str, ...] = ("*.csv", "*.jsonl", "*.parquet", "*.json")
    prompt: tuple[str, ...] = ("prompt",)
    context: tuple[str, ...] = ()
    category: tuple[str, ...] = ("category",)
    hazards: Mapping[str, str] = field(default_factory=dict)
    id: tuple[str, ...] = ("id",)
    pair: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    benign: Benign = lambda row, name: False
    keep: Keep = lambda row: True
    header: tuple[str, ...] | None = None


def _xstest_safe(row: Row, name: str) -> bool:
    label = row.get("label")
    return label == "safe" if label else not str(row.get("type") or "").startswith("contrast")


def _jbb_benign(row: Row, name: str) -> bool:
    label = row.get("label")
    return label in ("benign", "safe") if label else name.startswith("benign")


def _in_base_style(row: Row) -> bool:
    return str(row.get("prompt_style") or "base") == "base"


def _judged_by_reading(row: Row) -> bool:
    # Copyright behaviours need a comparison with the protected text.
    return "copyright" not in (row.get("FunctionalCategory"), row.get("category"))


PUBLIC: tuple[PublicSet, ...] = (
    PublicSet(
        key="hexphi",
        title="HEx-PHI (Qi et al. 2023)",
        licence="own terms: evaluation allowed, no redistribution; gated",
        hub="LLM-Tuning-Safety/HEx-PHI",
        files=("category_*.csv",),
        header=("prompt",),
    ),
    PublicSet(
        key="advbench",
        title="AdvBench (Zou et al. 2023)",
        licence="MIT",
        hub="walledai/AdvBench",
        prompt=("goal", "prompt"),
    ),
    PublicSet(
        key="harmbench",
        title="HarmBench text behaviours, without copyright (Mazeika et al. 2024)",
        licence="MIT",
        hub="walledai/HarmBench",
        files=("*text_all.csv", "*.csv", "**/*.parquet"),
        prompt=("Behavior", "prompt"),
        context=("ContextString", "context"),
        category=("SemanticCategory", "category"),
        id=("BehaviorID",),
        keep=_judged_by_reading,
        hazards={
            "chemical_biological": "physical_harm",
            "cybercrime_intrusion": "malware",
            "harassment_bullying": "hate_violence",
            "illegal": "illegal_activity",
            "misinformation_disinformation": "fraud_deception",
        },
    ),
    PublicSet(
        key="strongreject",
        title="StrongREJECT (Souly et al. 2024)",
        licence="MIT; some prompts keep the licence of their source",
        hub="walledai/StrongREJECT",
        files=("*strongreject_dataset.csv", "*.csv", "**/*.parquet"),
        prompt=("forbidden_prompt", "prompt"),
        hazards={
            "Disinformation and deception": "fraud_deception",
            "Hate, harassment and discrimination": "hate_violence",
            "Illegal goods and services": "illegal_activity",
            "Non-violent crimes": "illegal_activity",
            "Sexual content": "adult_content",
            "Violence": "physical_harm",
        },
    ),
    PublicSet(
        key="jailbreakbench",
        title="JailbreakBench behaviours, harmful and benign (Chao et al. 2024)",
        licence="MIT",
        hub="JailbreakBench/JBB-Behaviors",
        files=("**/*-behaviors.csv", "jbb*.json", "*.csv", "**/*.parquet"),
        prompt=("Goal", "goal", "text"),
        category=("Category", "category"),
        pair=("Index", "index"),
        benign=_jbb_benign,
        hazards={
            "Disinformation": "fraud_deception",
            "Economic harm": "economic_harm",
            "Fraud/Deception": "fraud_deception",
            "Harassment/Discrimination": "hate_violence",
            "Malware/Hacking": "malware",
            "Physical harm": "physical_harm",
            "Privacy": "privacy_violation",
            "Sexual/Adult content": "adult_content",
        },
    ),
    PublicSet(
        key="xstest",
        title="XSTest (Röttger et al. 2024)",
        licence="CC BY 4.0",
        hub="natolambert/xstest-v2-copy",
        files=("*prompts*.csv", "*.csv", "**/*.parquet"),
        category=("type",),
        benign=_xstest_safe,
    ),
    PublicSet(
        key="sorrybench",
        title="SORRY-Bench, base style (Xie et al. 2024)",
        licence="own terms; gated",
        hub="sorry-bench/sorry-bench-202503",
        files=("*question*.jsonl", "*.jsonl", "**/*.parquet", "*.csv"),
        prompt=("turns", "prompt"),
        id=("question_id",),
        keep=_in_base_style,
    ),
    PublicSet(
        key="orbench",
        title="OR-Bench hard 1k: benign prompts that look toxic (Cui et al. 2024)",
        licence="CC BY 4.0",
        hub="bench-llm/or-bench",
        files=("*hard-1k*.csv", "**/*hard-1k*/*.parquet", "*.csv"),
        benign=lambda row, name: True,
    ),
    PublicSet(
        key="orbench-toxic",
        title="OR-Bench toxic (Cui et al. 2024)",
        licence="CC BY 4.0",
        hub="bench-llm/or-bench",
        files=("*toxic*.csv", "**/*toxic*/*.parquet"),
        hazards={
            "hate": "hate_violence",
            "harassment": "hate_violence",
            "illegal": "illegal_activity",
            "deception": "fraud_deception",
            "privacy": "privacy_violation",
            "self-harm": "physical_harm",
            "sexual": "adult_content",
            "violence": "physical_harm",
        },
    ),
    PublicSet(
        key="directharm4",
        title="DirectHarm4 (Lyu et al. 2024)",
        licence="Apache-2.0 (repository)",
        hub="vfleaking/DirectHarm4",
        files=("*.csv", "**/*.parquet", "*.json", "*.jsonl"),
        prompt=("Goal", "instruction", "prompt"),
        category=("Category", "category"),
        hazards={
            "disinfo": "fraud_deception",
            "drug": "illegal_activity",
            "malware": "malware",
            "phishing": "fraud_deception",
        },
    ),
    PublicSet(
        key="simplesafetytests",
        title="SimpleSafetyTests (Vidgen et al. 2023)",
        licence="CC BY 4.0",
        hub="Bertievidgen/SimpleSafetyTests",
        prompt=("prompts_final", "prompt"),
        category=("harm_area",),
        hazards={
            "Child Abuse": "child_abuse",
            "Child safety": "child_abuse",
            "Illegal and Highly Regulated items": "illegal_activity",
            "Illegal Items": "illegal_activity",
            "Physical Harm": "physical_harm",
            "Physical harm and Violence": "physical_harm",
            "Scams & Fraud": "fraud_deception",
            "Scams and fraud": "fraud_deception",
            "Suicide, Self-Harm, and Eating Disorders": "physical_harm",
            "Suicide, Self-Harm & Eating Disorders": "physical_harm",
        },
    ),
    PublicSet(
        key="ailuminate",
        title="AILuminate 1.0 demo prompts (MLCommons)",
        licence="CC BY 4.0",
        files=("*prompt_set*.csv", "*.csv"),
        prompt=("prompt_text",),
        category=("hazard",),
        id=("release_prompt_id",),
        hazards={
            "cse": "child_abuse",
            "hte": "hate_violence",
            "iwp": "physical_harm",
            "ncr": "illegal_activity",
            "prv": "privacy_violation",
            "spc_ele": "political_campaigning",
            "spc_fin": "financial_advice",
            "src": "adult_content",
            "ssh": "physical_harm",
            "sxc_prn": "adult_content",
            "vcr": "physical_harm",
        },
    ),
    PublicSet(
        key="donotanswer",
        title="Do-Not-Answer (Wang et al. 2023)",
        licence="data CC BY-NC-SA 4.0",
        hub="LibrAI/do-not-answer",
        files=("*.csv", "**/*.parquet"),
        prompt=("question",),
        category=("types_of_harm", "risk_area"),
    ),
    PublicSet(
        key="multijail",
        title="MultiJail, ten languages (Deng et al. 2023)",
        licence="MIT",
        hub="DAMO-NLP-SG/MultiJail",
        files=("*.csv", "**/*.parquet"),
        category=("tags",),
        pair=("id",),
        languages=("en", "zh", "it", "vi", "ar", "ko", "th", "bn", "sw", "jv"),
    ),
)

BY_NAME: dict[str, PublicSet] = {public.key: public for public in PUBLIC}
