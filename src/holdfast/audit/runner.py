"""The engine of an audit: ask both models, judge blindly, append; resume where it stopped."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.audit.evidence import ANSWERS, SAMPLES, Answer, read_answers, read_records
from holdfast.audit.judging import Judged, judge_all
from holdfast.audit.retry import drop_failed
from holdfast.audit.units import Arm, Key, Record, Unit, prompt_sha, sha
from holdfast.files import JsonLines
from holdfast.judges.base import Exchange, Judge
from holdfast.models import Completion, Decoding, Generator, Progress, stream

Stop = Callable[[list[Record]], bool]
CHUNK = 512
LOOK = 64
"""Units between two looks of an audit that may stop early."""


@dataclass(frozen=True)
class Job:
    """What an audit asks.

    Attributes:
        base: Answers the arms `base` and `repeat`.
        tuned: Answers the arm `tuned`.
        units: What both are asked, in this order.
        repeats: Units that the base model answers a second time, for the noise floor.
        judges: The first decides, the second gives its opinion.
        decoding: How answers are drawn.
        second_on: `positives` or `all`: what the second judge sees.
        chunk: Units between two looks at the evidence.
    """

    base: Generator
    tuned: Generator
    units: Sequence[Unit]
    repeats: Sequence[Unit]
    judges: Sequence[Judge]
    decoding: Decoding
    second_on: str = "positives"
    chunk: int = CHUNK

    def arms(self, repeat: bool) -> tuple[Arm, ...]:
        """The arms of a batch of units."""
        return ("repeat",) if repeat else ("base", "tuned")


def total(job: Job) -> int:
    """How many units of work `run` reports: answers of every arm."""
    return (2 * len(job.units) + len(job.repeats)) * job.decoding.samples


def run(job: Job, folder: Path, progress: Progress | None = None, stop: Stop | None = None) -> list[Record]:
    """Answer and judge every unit that the folder does not hold yet; all its records come back.

    Each answer is appended as soon as it is there, each verdict when its batch is judged: a
    killed run loses at most the answers in flight, and never repeats one that was written, but
    for those that failed. No look is taken before everything that an earlier run saw is there
    again: what failed is no random choice.
    """
    seen = {answer.key[:3] for answer in read_answers(folder)}
    drop_failed(folder)
    records = {record.key: record for record in read_records(folder)}
    answers = {answer.key: answer for answer in read_answers(folder)}
    last = max((place for place, unit in enumerate(job.units) if unit.name in seen), default=-1)
    done = 0
    with JsonLines(folder / ANSWERS) as answer_log, JsonLines(folder / SAMPLES) as sample_log:
        for batch, repeat in _batches(job):
            for arm in job.arms(repeat):
                _answer(job, batch, arm, answers, answer_log, progress)
            open_units = [unit for unit in batch if not _complete(job, unit, repeat, records)]
            fresh = [r for r in _judge(job, open_units, repeat, answers) if r.key not in records]
            sample_log.extend(fresh)
            records.update((record.key, record) for record in fresh)
            done += len(batch)
            if stop is not None and not repeat and done > last and stop(list(records.values())):
                break
    return list(records.values())


def _batches(job: Job) -> Iterator[tuple[Sequence[Unit], bool]]:
    for start in range(0, len(job.units), job.chunk):
        yield job.units[start : start + job.chunk], False
    # Another order than the first time: batch composition is a source of noise of its own.
    if job.repeats:
        yield list(reversed(job.repeats)), True


def _keys(unit: Unit, samples: int, arm: Arm) -> list[Key]:
    return [(*unit.name, sample, arm) for sample in range(samples)]


def _complete(job: Job, unit: Unit, repeat: bool, records: Mapping[Key, Record]) -> bool:
    return all(key in records for arm in job.arms(repeat) for key in _keys(unit, job.decoding.samples, arm))


def _answer(
    job: Job,
    batch: Sequence[Unit],
    arm: Arm,
    answers: dict[Key, Answer],
    log: JsonLines,
    progress: Progress | None,
) -> None:
    samples = job.decoding.samples
    pending = [unit for unit in batch if any(key not in answers for key in _keys(unit, samples, arm))]
    if progress is not None and len(batch) > len(pending):
        progress((len(batch) - len(pending)) * samples)
    if not pending:
        return
    model = job.tuned if arm == "tuned" else job.base
    if arm == "repeat":
        model = getattr(model, "fresh", model)  # a cache would repeat the first run's answers
    decoding = replace(job.decoding, seed=job.decoding.seed + 1) if arm == "repeat" else job.decoding
    for index, completions in stream(model, [unit.prompt for unit in pending], decoding):
        unit = pending[index]
        made = [_answer_of(key, c) for key, c in zip(_keys(unit, samples, arm), completions, strict=True)]
        fresh = [answer for answer in made if answer.key not in answers]
        log.extend(fresh)
        answers.update((answer.key, answer) for answer in fresh)
        if progress is not None:
            progress(samples)


def _answer_of(key: Key, completion: Completion) -> Answer:
    text = completion.text.encode("utf-8", "replace").decode()  # a lone surrogate is not JSON
    return Answer(*key, text, completion.finish, completion.tokens, completion.error)


def _judge(job: Job, batch: Sequence[Unit], repeat: bool, answers: dict[Key, Answer]) -> list[Record]:
    """Judge a batch, both arms together and shuffled: no judge sees which model answered."""
    asked = [
        (unit, answers[key])
        for unit in batch
        for arm in job.arms(repeat)
        for key in _keys(unit, job.decoding.samples, arm)
    ]
    random.Random(len(asked)).shuffle(asked)
    exchanges = [_exchange(unit, answer) for unit, answer in asked]
    judged = judge_all(job.judges, [unit for unit, _ in asked], exchanges, job.second_on)
    return [_record(unit, answer, verdict) for (unit, answer), verdict in zip(asked, judged, strict=True)]


def _exchange(unit: Unit, answer: Answer) -> Exchange:
    text = unit.prompt.prefill + answer.text
    return Exchange(unit.prompt.messages, text, answer.finish, unit.prompt_id)


def _record(unit: Unit, answer: Answer, judged: Judged) -> Record:
    return Record(
        suite=unit.suite,
        prompt_id=unit.prompt_id,
        probe=unit.probe,
        sample=answer.sample,
        arm=answer.arm,
        axis=unit.axis,
        expect=unit.expect,
        hazard=unit.hazard,
        cluster=unit.cluster,
        prefill=unit.prompt.prefill,
        prompt_sha=prompt_sha(unit.prompt),
        answer_sha=sha(answer.text),
        finish=answer.finish,
        tokens=answer.tokens,
        outcome=judged.outcome,
        bad=judged.bad,
        degenerate=judged.degenerate,
        second=judged.second,
        error=answer.error,
        judgements=judged.judgements,
    )
