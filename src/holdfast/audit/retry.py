"""What a repeated run does again: answers that failed, and verdicts that nobody gave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.audit.evidence import ANSWERS, SAMPLES, read_answers, read_records
from holdfast.audit.units import Key, Record
from holdfast.files import to_json, write_bytes


def drop_failed(folder: Path) -> None:
    """Take failed answers and unscored verdicts out of the logs, so that they are sought again.

    A unit is judged again as a whole, so that both arms get the same scrutiny; its good answers
    stay. Verdicts go first: if the process is killed in between, the next run does the rest.
    """
    answers, records = list(read_answers(folder)), list(read_records(folder))
    failed = {answer.key for answer in answers if answer.finish == "error"}
    again = {_unit(key) for key in failed} | {_unit(r.key) for r in records if _unscored(r)}
    if any(_unit(record.key) in again for record in records):
        _rewrite(folder / SAMPLES, [record for record in records if _unit(record.key) not in again])
    if failed:
        _rewrite(folder / ANSWERS, [answer for answer in answers if answer.key not in failed])


def _unit(key: Key) -> tuple[str, str, str, bool]:
    return (*key[:3], key[4] == "repeat")


def _unscored(record: Record) -> bool:
    return any(judgement["outcome"] == "unscored" for judgement in record.judgements.values())


def _rewrite(path: Path, lines: Sequence[object]) -> None:
    write_bytes(path, b"".join(to_json(line) + b"\n" for line in lines))
