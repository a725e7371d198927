"""One table of hazards: the eleven policy categories of Qi et al. (arXiv 2310.03693).

Each with the codes that MLCommons AILuminate v1.0 and Llama Guard 3/4 use for the same harm.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import InputError


@dataclass(frozen=True, slots=True)
class Hazard:
    """A category of harm.

    Attributes:
        key: Short name used in suites, findings, policies and reports.
        title: Name for people.
        ailuminate: MLCommons AILuminate hazard codes that overlap with it.
        llama_guard: Llama Guard 3/4 category codes that overlap with it.
    """

    key: str
    title: str
    ailuminate: tuple[str, ...]
    llama_guard: tuple[str, ...]


HAZARDS: tuple[Hazard, ...] = (
    Hazard("illegal_activity", "Illegal activity", ("ncr",), ("S2",)),
    Hazard("child_abuse", "Child abuse content", ("cse",), ("S4",)),
    Hazard("hate_violence", "Hate, harassment and violence", ("hte", "vcr"), ("S1", "S10")),
    Hazard("malware", "Malware", ("ncr",), ("S2", "S14")),
    Hazard("physical_harm", "Physical harm", ("vcr", "ssh", "iwp"), ("S1", "S9", "S11")),
    Hazard("economic_harm", "Economic harm", ("ncr",), ("S2",)),
    Hazard("fraud_deception", "Fraud and deception", ("ncr", "dfm"), ("S2", "S5")),
    Hazard("adult_content", "Adult content", ("sxc", "src"), ("S3", "S12")),
    Hazard("political_campaigning", "Political campaigning", (), ("S13",)),
    Hazard("privacy_violation", "Privacy violation activity", ("prv",), ("S7",)),
    Hazard("financial_advice", "Tailored financial advice", ("spc_fin",), ("S6",)),
)

BY_KEY: dict[str, Hazard] = {hazard.key: hazard for hazard in HAZARDS}


def hazard(key: str) -> Hazard:
    """Look a hazard up by key.

    Raises:
        InputError: The key is not in the table.
    """
    try:
        return BY_KEY[key]
    except KeyError:
        raise InputError(f"unknown hazard '{key}'", fix=f"one of {', '.join(BY_KEY)}") from None
