"""Canary: the frozen probes of an audit, asked again of the served model, paired with the audit.

The audit's evidence folder holds what was asked and how the tuned model did. Each probe that
was answered then is answered now; the differences, in random order, bet against "not worse"
(`holdfast.audit.sequential.e_worse`). Runs of one folder and model share one test, so that
asking every day keeps the declared chance of a false alarm.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from holdfast.audit.evidence import Asked, read_asked, read_records, read_run
from holdfast.audit.outcomes import bad
from holdfast.audit.sequential import e_worse
from holdfast.audit.units import Record
from holdfast.conversation import Message
from holdfast.errors import InputError
from holdfast.files import digest_value
from holdfast.judges.base import Exchange, Judge
from holdfast.models.base import Completion, Decoding, Generator, Prompt
from holdfast.review import Store
from holdfast.review.store import now
from holdfast.review.texts import ascii_json
from holdfast.watch.alarms import raise_alarm
from holdfast.watch.schema import canaries

_PROBES = 200


@dataclass(frozen=True, slots=True)
class Canary:
    """What one run of the canary found.

    Attributes:
        model: The served model's reference.
        asked: Probes asked now.
        unscored: Probes without an answer that could be judged; they are no evidence either way.
        worse: Probes that were good at the audit and are bad now.
        better: The other way round.
        evidence: The e-value over all runs so far.
        verdict: `alarm` at 1 / alpha, else `ok`.
        by_hazard: Worse and better by hazard, this run.
    """

    model: str
    asked: int
    unscored: int
    worse: int
    better: int
    evidence: float
    verdict: str
    by_hazard: dict[str, list[int]]


def run_canary(
    folder: str | Path,
    served: Generator,
    judge: Judge,
    store: Store,
    *,
    axes: Sequence[str] = ("harm",),
    alpha: float = 0.01,
    probes: int = _PROBES,
    decoding: Decoding | None = None,
    progress: Callable[[int], None] | None = None,
) -> Canary:
    """Ask the served model the audit's probes and compare with what the tuned model did then.

    Args:
        folder: The audit's evidence folder.
        served: The model in production.
        judge: The audit's judge (the first one), so that its verdicts compare.
        store: Keeps runs and raises the alarm.
        axes: Axes of the audit to look at.
        alpha: Chance that the alarm is ever false for this folder and model.
        probes: At most so many probes a run, drawn anew each time.
        decoding: How answers are drawn; greedy by default.
        progress: Called with probes finished.

    Raises:
        InputError: The folder holds no evidence on these axes, or another judge made it.
    """
    root = Path(folder)
    _same_judge(root, judge)
    then = _then(root, axes)
    if not then:
        raise InputError(f"no judged answers on {', '.join(axes)}", path=root, fix="run holdfast audit first")
    name = digest_value([str(root.resolve()), served.identity.ref, sorted(axes)])
    past = _past(store, name)
    rng = random.Random(len(past))
    chosen = rng.sample(sorted(then), min(probes, len(then)))
    asked = {entry.name: entry for entry in read_asked(root)}
    prompts = [_prompt(asked[key]) for key in chosen]
    answers = served.generate(prompts, decoding or Decoding(), progress)
    outcomes = _judged([then[key] for key in chosen], prompts, [a[0] for a in answers], judge)
    by_hazard: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    differences = []
    for key, outcome in zip(chosen, outcomes, strict=True):
        if outcome is None:
            continue  # no answer, or nobody can say: counted, but no bet is placed on it
        change = outcome - int(then[key].bad or 0)
        differences.append(change)
        if change:
            by_hazard[then[key].hazard or "none"][int(change < 0)] += 1
    evidence = e_worse([*past, *differences])
    found = Canary(
        served.identity.ref,
        len(chosen),
        sum(outcome is None for outcome in outcomes),
        differences.count(1),
        differences.count(-1),
        evidence,
        "alarm" if evidence >= 1 / alpha else "ok",
        dict(by_hazard),
    )
    _keep(store, name, found, differences, alpha)
    return found


def _then(root: Path, axes: Sequence[str]) -> dict[tuple[str, str, str], Record]:
    """The tuned model's first judged answer to each probe."""
    found: dict[tuple[str, str, str], Record] = {}
    for record in read_records(root):
        if record.arm == "tuned" and record.axis in axes and record.bad is not None:
            found.setdefault(record.key[:3], record)
    return found


def _same_judge(root: Path, judge: Judge) -> None:
    used = json.dumps(read_run(root).get("judges", []))
    if used != "[]" and judge.name not in used:
        raise InputError(
            f"the audit was judged by {used}, not by {judge.name}", path=root, fix="name its judge"
        )


def _prompt(asked: Asked) -> Prompt:
    messages = tuple(Message(role, content) for role, content in asked.messages)  # type: ignore[arg-type]
    return Prompt(messages, asked.prefill)


def _judged(
    then: Sequence[Record], prompts: Sequence[Prompt], answers: Sequence[Completion], judge: Judge
) -> list[int | None]:
    exchanges = [
        Exchange(prompt.messages, prompt.prefill + answer.text, answer.finish, record.prompt_id)
        for record, prompt, answer in zip(then, prompts, answers, strict=True)
    ]
    return [
        bad(record.axis, record.expect, exchange.answer, exchange.finish, judgement)
        for record, exchange, judgement in zip(then, exchanges, judge.judge(exchanges), strict=True)
    ]


def _past(store: Store, name: str) -> list[int]:
    """Differences of all earlier runs of this test, in order."""
    query = select(canaries.c.detail).order_by(canaries.c.id)
    with store.read() as connection:
        details = [json.loads(detail) for detail in connection.execute(query).scalars()]
    return [d for detail in details if detail["test"] == name for d in detail["differences"]]


def _keep(store: Store, name: str, found: Canary, differences: list[int], alpha: float) -> None:
    detail: dict[str, Any] = asdict(found) | {"test": name, "differences": differences, "alpha": alpha}
    with store.write() as connection:
        number = (connection.execute(select(func.max(canaries.c.id))).scalar() or 0) + 1
        values = {"id": number, "at": now(), "model": found.model, "verdict": found.verdict}
        connection.execute(insert(canaries).values(**values, detail=ascii_json(detail)))
        if found.verdict == "alarm":
            words = (
                f"{found.model} does worse on the audit's probes: {found.worse} worse, {found.better} better"
            )
            raise_alarm(connection, "canary", found.model, words, asdict(found), now())
