"""The grid: every cell once, each a record in a log, so that a killed benchmark goes on where it was.

Several processes may work on one folder: each takes an attack and a seed at a time, under a lock
that goes with the process, and adds its records to the one log.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import InputError
from holdfast.files import JsonLines
from holdfast.lab import base_model, unaligned_model
from holdfast.lab.bench.arms import ATTACKS, AUTO, AUTO_ORDER, DEFENCES, NOTHING
from holdfast.lab.bench.cell import Bench, base_rates, passes, run_cell

LOG = "cells.jsonl"
Record = dict[str, Any]


def bench(
    out: Path,
    *,
    attacks: Sequence[str],
    defences: Sequence[str],
    seeds: int,
    bases: Path | None = None,
    limit_s: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Record]:
    """Run the cells that are missing and return all records, the automatic choice among them.

    Args:
        out: Working folder; `cells.jsonl` in it holds the records.
        attacks: Names of `ATTACKS`.
        defences: Names of `DEFENCES`.
        seeds: Seeds 0 to n - 1 of data, order and adapter (and of the base, with `bases`).
        bases: Folder of base checkpoints, one per seed, built when missing; None = all on the
            shipped checkpoint.
        limit_s: Stop before a new cell after so many seconds.
        progress: Called with the number of cells finished.

    Raises:
        InputError: An unknown attack or defence.
    """
    _known(attacks, ATTACKS, "attack")
    _known(defences, DEFENCES, "defence")
    started = time.monotonic()

    def late() -> bool:
        return limit_s is not None and time.monotonic() - started > limit_s

    for seed in range(seeds):
        shared = _bench(out, bases, seed)
        for attack in attacks:
            todo = [(attack, arm, seed) for arm in ("base", *defences)]
            _work(out, shared, _base_name(bases, seed), todo, late)
            if progress is not None:
                progress(len(todo))
    return read(out)


def _work(
    out: Path, shared: Bench, base: str, todo: list[tuple[str, str, int]], late: Callable[[], bool]
) -> None:
    """Run the missing cells of one attack and seed, unless another process has them in hand."""
    attack, _, seed = todo[0]
    with contextlib.suppress(BusyError), _held(out / "locks" / f"{base}-{attack}-{seed}"):
        done = {_key(record) for record in JsonLines(out / LOG).read()}
        for place in todo:
            if (base, *place) not in done and not late():
                record = _record(shared, base, *place)
                with _held(out / "locks" / "log", wait=True), JsonLines(out / LOG) as log:
                    log.append(record)


class BusyError(Exception):
    """Another process holds a lock."""


@contextlib.contextmanager
def _held(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold a lock file; it is let go when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise BusyError from None
        yield


def read(out: Path) -> list[Record]:
    """The records of a benchmark folder and, computed from them, those of the automatic choice.

    Raises:
        InputError: There is no benchmark in the folder.
    """
    if not (out / LOG).exists():
        raise InputError("no benchmark here", path=out, fix="holdfast lab bench --out FOLDER")
    records = list(JsonLines(out / LOG).read())
    return records + _chosen(records)


def _record(shared: Bench, base: str, attack: str, defence: str, seed: int) -> Record:
    found = base_rates(shared, attack) if defence == "base" else run_cell(shared, attack, defence, seed)
    return {"schema": 1, "base": base, "attack": attack, "defence": defence, "seed": seed, **found}


def _key(record: Record) -> tuple[str, str, str, int]:
    return record["base"], record["attack"], record["defence"], record["seed"]


def _base_name(bases: Path | None, seed: int) -> str:
    return "shipped" if bases is None else f"seed-{seed}"


def _bench(out: Path, bases: Path | None, seed: int) -> Bench:
    name = _base_name(bases, seed)
    with _held(out / "locks" / name, wait=True):
        if bases is None:
            shared = Bench(base_model(), unaligned_model(), out / name)
        else:
            home = bases / name
            if not (home / "base" / "model.safetensors").exists():
                from holdfast.lab.build import train_checkpoints

                train_checkpoints(home, seed)
            shared = Bench(home / "base", home / "unaligned", out / name)
        shared.prepare()
    return shared


def _chosen(records: list[Record]) -> list[Record]:
    """What `holdfast run` would release: the first that passes on the development prompts.

    Where none passes nothing is released, and what is left is the untouched base. Either way the
    cost is that of everything tried.
    """
    cells: dict[tuple[str, str, int], dict[str, Record]] = {}
    for record in records:
        place = (record["base"], record["attack"], record["seed"])
        cells.setdefault(place, {})[record["defence"]] = record
    found = []
    for arms in cells.values():
        tried = [arms[name] for name in AUTO_ORDER if name in arms]
        if "base" not in arms or len(tried) < len(AUTO_ORDER):
            continue
        found.append(_choose(tried, arms["base"]))
    return found


def _choose(tried: list[Record], base: Record) -> Record:
    plain = tried[0]["develop"]
    good = [passes(record["develop"], base["develop"], plain) for record in tried]
    if any(good):
        tried = tried[: good.index(True) + 1]
    record, chose = (tried[-1], tried[-1]["defence"]) if any(good) else (base, NOTHING)
    cost = sum(one["own_seconds"] for one in tried)
    return {**record, "defence": AUTO, "chose": chose, "seconds": cost}


def _known(names: Sequence[str], table: dict[str, Any], kind: str) -> None:
    for name in names:
        if name not in table:
            raise InputError(f"unknown {kind} '{name}'", fix=f"one of {', '.join(table)}")
