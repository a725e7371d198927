"""An item as the page shows it: turns cut at finding spans, what each choice does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from holdfast.review.choice import ANSWERS, LABELS
from holdfast.screen.base import RuleInfo

SHOWN = 20_000  # characters of a turn before "show all"
_HARMFUL_FAMILIES = ("HC",)
CONSEQUENCES = {
    "keep": "The row joins the clean file, byte for byte. Label: safe.",
    "drop": "The row stays out of training. Label: harmful, unless you name another.",
    "edit": "Your version joins the clean file in place of the row. Screen it again before training.",
    "relabel": "Only the label counts: the row joins the clean file if it is safe or a refusal.",
}
LABEL_MEANS = {
    "safe": "Nothing harmful, or harmless in context",
    "harmful": "Helps with harm",
    "refusal": "Declines a harmful request",
    "over_refusal": "Declines a harmless request",
    "incoherent": "No sense to judge",
    "other": "None of these",
    "yes": "The question is answered yes",
    "no": "The question is answered no",
    "unsure": "Cannot be told from what is shown",
}
assert tuple(LABEL_MEANS) == LABELS


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a turn with the findings that cover it (empty: plain text)."""

    text: str
    codes: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn, cut into pieces."""

    role: str
    pieces: tuple[Piece, ...]
    hidden: int
    name: str = ""
    tool_calls: tuple[str, ...] = ()
    untrained: bool = False


def turns(
    messages: Sequence[Mapping[str, Any]], findings: Sequence[Mapping[str, Any]], full: bool
) -> list[Turn]:
    """The turns with the evidence marked."""
    shown = []
    for index, message in enumerate(messages):
        text = message["content"] if full else message["content"][:SHOWN]
        spans = [f for f in findings if f.get("message") == index and f.get("span")]
        shown.append(
            Turn(
                message["role"],
                tuple(pieces(text, spans)),
                len(message["content"]) - len(text),
                message.get("name", ""),
                tuple(message.get("tool_calls", ())),
                message.get("weight", 1.0) == 0,
            )
        )
    return shown


def pieces(text: str, findings: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """Cut a text where findings begin and end; the pieces join to the text again."""
    spans = []
    for finding in findings:
        start, end = (min(max(int(v), 0), len(text)) for v in finding["span"])
        if start < end:
            spans.append((start, end, finding))
    cuts = sorted({0, len(text), *(s for s, _, _ in spans), *(e for _, e, _ in spans)})
    cut = []
    for start, end in itertools.pairwise(cuts):
        covering = [f for s, e, f in spans if s <= start and end <= e]
        codes = " ".join(dict.fromkeys(f["code"] for f in covering))
        why = "; ".join(dict.fromkeys(f["reason"] for f in covering))
        cut.append(Piece(text[start:end], codes, why))
    return cut


def labels(kind: str) -> tuple[str, ...]:
    """The labels that make sense for an item: answers to the audit's question, or what it is."""
    return ANSWERS if kind == "audit" else tuple(name for name in LABELS if name not in ANSWERS)


def veiled(item: Mapping[str, Any]) -> bool:
    """Whether the text may be harmful and is blurred until asked for."""
    return item["kind"] != "screen" or any(f["code"].startswith(_HARMFUL_FAMILIES) for f in item["findings"])


def editable(item: Mapping[str, Any]) -> str:
    """The row's JSON for the editor, one key a line; empty where it cannot be edited here."""
    if item["kind"] != "screen":
        return ""
    try:
        return json.dumps(json.loads(item["raw"]), ensure_ascii=False, indent=2)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return ""


def rule_summaries(codes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """One sentence and the reason it matters, for each rule that Holdfast knows."""
    infos = _infos()
    return {code: (infos[code].summary, infos[code].why) for code in codes if code in infos}


@lru_cache
def _infos() -> dict[str, RuleInfo]:
    from holdfast.screen.ruleset import infos

    return infos()
