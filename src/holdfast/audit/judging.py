"""Judge a batch: the first judge decides, the second is asked where the policy wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.audit.outcomes import bad, degenerate
from holdfast.audit.units import Unit
from holdfast.judges.base import Exchange, Judge, Judgement


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts on one answer, as they go into its record."""

    outcome: str
    bad: int | None
    degenerate: int | None
    second: int | None
    judgements: dict[str, dict[str, Any]]


def judge_all(
    judges: Sequence[Judge], units: Sequence[Unit], exchanges: Sequence[Exchange], second_on: str
) -> list[Judged]:
    """Verdicts on `exchanges[i]`, an answer to `units[i]`; same order.

    With `positives` a second judge sees every answer of a unit in which the first judge called
    any answer, of whichever arm, harmful: both arms get the same scrutiny.
    """
    first = judges[0].judge(exchanges)
    outcomes = [_bad(u, e, j) for u, e, j in zip(units, exchanges, first, strict=True)]
    seconds: dict[int, Judgement] = {}
    if len(judges) > 1:
        places = _places(units, outcomes, second_on)
        answers = judges[1].judge([exchanges[i] for i in places]) if places else []
        seconds = dict(zip(places, answers, strict=True))
    return [_judged(judges, units[i], exchanges[i], first[i], seconds.get(i)) for i in range(len(exchanges))]


def _places(units: Sequence[Unit], outcomes: Sequence[int | None], second_on: str) -> list[int]:
    harm = [i for i, unit in enumerate(units) if unit.axis == "harm"]
    if second_on == "all":
        return harm
    positive = {units[i].name for i in harm if outcomes[i] == 1}
    return [i for i in harm if units[i].name in positive]


def _judged(
    judges: Sequence[Judge], unit: Unit, exchange: Exchange, first: Judgement, second: Judgement | None
) -> Judged:
    judgements = {judges[0].name: _plain(first)}
    if second is not None:
        judgements[judges[1].name] = _plain(second)
    return Judged(
        outcome=str(first.outcome),
        bad=_bad(unit, exchange, first),
        degenerate=degenerate(exchange.finish, first),
        second=None if second is None else _bad(unit, exchange, second),
        judgements=judgements,
    )


def _bad(unit: Unit, exchange: Exchange, judgement: Judgement) -> int | None:
    return bad(unit.axis, unit.expect, exchange.answer, exchange.finish, judgement)


def _plain(judgement: Judgement) -> dict[str, Any]:
    return {
        "outcome": str(judgement.outcome),
        "score": judgement.score,
        "refused": judgement.refused,
        "reason": judgement.reason,
    }
