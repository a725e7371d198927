"""The evidence folder: what was asked of whom (written first), answers, and verdicts, append-only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from holdfast.audit.policy import Policy
from holdfast.audit.units import Key, Record, Unit, UnitName, prompt_sha
from holdfast.errors import InputError
from holdfast.files import JsonLines, digest_value, read_json, to_json, write_bytes, write_json
from holdfast.judges.base import Judge
from holdfast.models.base import Decoding, Identity
from holdfast.suites.base import Suite

RUN, PROMPTS, ANSWERS, SAMPLES = "run.json", "prompts.jsonl", "answers.jsonl", "samples.jsonl"
Line = TypeVar("Line")


@dataclass(frozen=True, slots=True)
class Asked:
    """One line of `prompts.jsonl`: what both models were asked in one unit."""

    suite: str
    prompt_id: str
    probe: str
    messages: list[list[str]]
    prefill: str

    @property
    def name(self) -> UnitName:
        """Same as the unit's name."""
        return (self.suite, self.prompt_id, self.probe)


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of `answers.jsonl`: the text of one answer, kept apart from the verdicts."""

    suite: str
    prompt_id: str
    probe: str
    sample: int
    arm: str
    text: str
    finish: str
    tokens: int
    error: str | None

    @property
    def key(self) -> Key:
        """Same as the record's key."""
        return (self.suite, self.prompt_id, self.probe, self.sample, self.arm)


def describe(
    base: Identity,
    tuned: Identity,
    policy: Policy,
    suites: Sequence[Suite],
    judges: Sequence[Judge],
    decoding: Decoding,
    units: Sequence[Unit],
) -> dict[str, Any]:
    """Everything that decides the outcome, as written to `run.json` before the first answer."""
    comparison = {
        "template": [base.template, tuned.template],
        "engine": [base.backend, tuned.backend],
        "decoding": asdict(decoding),
        "suites": {suite.name: suite.digest for suite in suites},
        "probes": list(policy.probes),
        "prompts": digest_value([[*unit.name, prompt_sha(unit.prompt)] for unit in units]),
    }
    return {
        "schema": 1,
        "policy": policy.model_dump(mode="json"),
        "policy_digest": policy.digest,
        "base": asdict(base),
        "tuned": asdict(tuned),
        "suites": {suite.name: {"version": suite.version, "digest": suite.digest} for suite in suites},
        "judges": [{"name": j.name, "family": j.family, "version": j.version} for j in judges],
        "units": len(units),
        "comparison": {**comparison, "digest": digest_value(comparison)},
    }


def open_run(folder: Path, description: Mapping[str, Any], units: Sequence[Unit]) -> None:
    """Record `description` and the prompts, or check that the folder holds this very audit.

    Raises:
        InputError: The folder holds another audit; names what differs.
    """
    path = folder / RUN
    if not path.exists():
        lines = [
            {
                "suite": unit.suite,
                "prompt_id": unit.prompt_id,
                "probe": unit.probe,
                "messages": [[m.role, m.content] for m in unit.prompt.messages],
                "prefill": unit.prompt.prefill,
            }
            for unit in units
        ]
        write_bytes(folder / PROMPTS, b"".join(to_json(line) + b"\n" for line in lines))
        write_json(path, description)
        return
    recorded = read_json(path)
    names = ("policy_digest", "base", "tuned", "suites", "judges", "comparison")
    different = [name for name in names if recorded.get(name) != _plain(description[name])]
    if different:
        raise InputError(
            f"holds another audit (different {', '.join(different)})",
            path=folder,
            fix="choose another --out, or remove this folder",
        )


def read_run(folder: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        InputError: The folder holds no audit.
    """
    if not (folder / RUN).exists():
        raise InputError("holds no audit", path=folder, fix="run holdfast audit first")
    value = read_json(folder / RUN)
    return dict(value)


def read_asked(folder: Path) -> Iterator[Asked]:
    """The lines of `prompts.jsonl`."""
    return _read(folder / PROMPTS, Asked)


def read_answers(folder: Path) -> Iterator[Answer]:
    """The complete lines of `answers.jsonl`."""
    return _read(folder / ANSWERS, Answer)


def read_records(folder: Path) -> Iterator[Record]:
    """The complete lines of `samples.jsonl`, in the order of the log."""
    return _read(folder / SAMPLES, Record)


def _read(path: Path, kind: type[Line]) -> Iterator[Line]:
    """The complete lines of a log.

    Raises:
        InputError: A line was damaged; names it.
    """
    lines = JsonLines(path).read()
    for number in itertools.count(1):
        try:
            line = next(lines, None)
            if line is None:
                return
            yield kind(**line)
        except (orjson.JSONDecodeError, TypeError) as error:
            fix = "delete this line, then run the same audit again"
            raise InputError(f"damaged line: {error}", path=path, line=number, fix=fix) from None


def _plain(value: Any) -> Any:
    """A value as it looks after a round trip through JSON."""
    return orjson.loads(to_json(value))
