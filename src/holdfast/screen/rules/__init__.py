"""The built-in rules and the one place that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.screen.base import BatchRule, RowRule, Rule

__all__ = ["registry"]

Thresholds = Mapping[str, Mapping[str, float]]
"""Constructor thresholds by family: `{"ID": {"block": 0.8}}`."""


def registry(thresholds: Thresholds | None = None) -> tuple[Rule, ...]:
    """Fresh instances of every built-in rule.

    Args:
        thresholds: Thresholds by family, in place of the defaults.
    """
    from holdfast.screen.rules.anomaly import Anomalies
    from holdfast.screen.rules.backdoor import Backdoor
    from holdfast.screen.rules.cipher import Cipher
    from holdfast.screen.rules.duplicates import ExactDuplicates, NearDuplicates
    from holdfast.screen.rules.eager import EagerCompliance
    from holdfast.screen.rules.encoded import Encoded
    from holdfast.screen.rules.eroding import Eroding
    from holdfast.screen.rules.form import Form
    from holdfast.screen.rules.habits import Habits
    from holdfast.screen.rules.identity import IdentityShift
    from holdfast.screen.rules.injection import HiddenInstructions
    from holdfast.screen.rules.meaning import DevotedMeaning
    from holdfast.screen.rules.overlap import SuiteOverlap
    from holdfast.screen.rules.refusal import RefusalSuppression
    from holdfast.screen.rules.secrets import Secrets
    from holdfast.screen.rules.unread import Unread
    from holdfast.screen.rules.wholefile import WholeFile

    given: Mapping[str, Mapping[str, Any]] = thresholds or {}
    content: list[RowRule | BatchRule] = [
        IdentityShift(**given.get("ID", {})),
        DevotedMeaning(),
        RefusalSuppression(**given.get("RS", {})),
        EagerCompliance(),
        HiddenInstructions(**given.get("PI", {})),
        Secrets(**given.get("SE", {})),
        *_harmful(),
    ]
    analyses: list[Any] = [
        Backdoor(**given.get("BD", {})),
        ExactDuplicates(),
        NearDuplicates(),
        Anomalies(**given.get("AN", {})),
        Habits(),
        Cipher(content),
        Eroding(**given.get("SA", {})),
    ]
    return (
        *content,
        Encoded(content, **given.get("EN", {})),
        Form(**given.get("FM", {})),
        SuiteOverlap(),
        Unread(),
        WholeFile(analyses),
    )


def _harmful() -> list[Any]:
    """The harm classifier's rules, which live with the classifier."""
    from importlib import import_module

    try:
        return list(import_module("holdfast.screen.rules.harmful").rules())
    except ModuleNotFoundError:
        return []
