"""What the HC rule judges: the exchanges of rows, their most harmful windows, and closer looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.conversation import Conversation

if TYPE_CHECKING:
    from holdfast.judges.embedded.fast import Scan


CARRIED = 2000
"""Characters of earlier user turns that are read with an answer: the latest ones, so that the work
stays linear in the dialogue."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A request with its answer, or a text without one."""

    row: int
    message: int
    asked: str
    said: str


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst of a row.

    Attributes:
        unit: Its most harmful unit.
        start: First word of the most harmful window of that unit's answer.
        harm: How harmful that window is.
        hazard: Number of its hazard.
        request, refusal: The highest of the row.
    """

    unit: int
    start: int
    harm: float
    hazard: int
    request: float
    refusal: float


def units(number: int, row: Conversation) -> Iterator[Unit]:
    """Exchanges of a row; the first request is read together with the system text.

    A later answer is read twice: with its own request, and with what users asked before, since "yes,
    go on" can be the request of any answer. Turns with loss weight 0 are read as context only. A
    request whose one answer is unwanted (KTO) is no request without an answer.
    """
    asked, before = row.system, ""
    for index, message in enumerate(row.messages):
        if message.role == "user":
            asked = f"{asked}\n{message.content}" if asked else message.content
        elif message.role == "assistant":
            if message.weight and message.content.strip():
                yield Unit(number, index, asked, message.content)
                if before:
                    yield Unit(number, index, f"{before}\n{asked}", message.content)
            before, asked = f"{before}\n{asked}".strip()[-CARRIED:], ""
    if asked.strip() and not row.rejected:
        yield Unit(number, len(row.messages) - 1, asked, "")


def worst(units: Sequence[Unit], scan: Scan, rows: int) -> dict[int, Worst]:
    """The worst of each row that has a unit, by number of the row."""
    owner = scan.windows.owner
    row = np.array([unit.row for unit in units])[owner]
    answered = np.array([bool(unit.said) for unit in units])[owner]
    request, harm, refusal = scan.scores.T.astype(float)
    harm = np.where(answered, exchange_harm(request, harm, refusal), 0.0)
    highest_request, highest_refusal = np.zeros(rows), np.zeros(rows)
    np.maximum.at(highest_request, row, request)
    np.maximum.at(highest_refusal, row, np.where(answered, refusal, 0.0))
    # Of equally harmful windows (rows without an answer have 0) the one with the worst request.
    order = np.lexsort((-np.arange(len(row)), request, harm, row))
    last = order[np.flatnonzero(np.diff(row[order], append=rows))]
    return {
        int(row[i]): Worst(
            int(owner[i]),
            int(scan.windows.start[i]),
            float(harm[i]),
            int(scan.hazards[i]),
            float(highest_request[row[i]]),
            float(highest_refusal[row[i]]),
        )
        for i in last
    }


def exchange_harm(request: Any, harm: Any, refusal: Any) -> Any:
    """Serving a harmful request is harm too, even where the answer alone does not show it."""
    return 0.7 * harm + 0.3 * request * (1 - refusal)


def look_again(units: Sequence[Unit], worst: dict[int, Worst], threshold: float) -> None:
    """Average what the fast classifier suspects with the slower encoder's view, in place.

    The fast one alone is sure of itself on texts unlike all it has seen.
    """
    seen = [n for n, best in worst.items() if units[best.unit].said and best.harm >= threshold]
    if not seen:
        return
    from holdfast.judges.embedded.encoder import probabilities
    from holdfast.judges.embedded.fast import SCAN
    from holdfast.judges.embedded.text import words

    chosen = [(units[worst[n].unit], worst[n].start) for n in seen]
    # The suspicious window, not the whole answer: harm in a long text must not be averaged away.
    said = [" ".join(words(unit.said)[start : start + SCAN]) for unit, start in chosen]
    views = probabilities([unit.asked for unit, _ in chosen], said)
    for number, view in zip(seen, views, strict=True):
        second = exchange_harm(*(float(value) for value in view))
        worst[number] = replace(worst[number], harm=(worst[number].harm + second) / 2)


def asked_alone(units: Sequence[Unit], worst: dict[int, Worst], rows: Sequence[int]) -> dict[int, float]:
    """How harmful the requests of some rows are without their answers, by the fast classifier."""
    if not rows:
        return {}
    from holdfast.judges.embedded.fast import fast

    scan = fast().scan([units[worst[number].unit].asked for number in rows], [""] * len(rows))
    highest = np.zeros(len(rows))
    np.maximum.at(highest, scan.windows.owner, scan.scores[:, 0])
    return dict(zip(rows, highest.tolist(), strict=True))


def asked_again(requests: dict[int, str]) -> dict[int, float]:
    """How harmful the requests of some rows are, by the encoder."""
    if not requests:
        return {}
    from holdfast.judges.embedded.encoder import probabilities

    views = probabilities(list(requests.values()), [""] * len(requests))
    return dict(zip(requests, views[:, 0].tolist(), strict=True))
