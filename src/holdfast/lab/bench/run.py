"""The grid: every cell once, each a record in a log, so that a killed benchmark goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import InputError
from holdfast.files import JsonLines, folder_lock
from holdfast.lab import base_model, unaligned_model
from holdfast.lab.bench.arms import ATTACKS, AUTO, AUTO_ORDER, DEFENCES
from holdfast.lab.bench.cell import Bench, Rates, base_rates, passes, run_cell

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
        InputError: An unknown attack or defence, or another process works in `out`.
    """
    _known(attacks, ATTACKS, "attack")
    _known(defences, DEFENCES, "defence")
    started = time.monotonic()
    with folder_lock(out), JsonLines(out / LOG) as log:
        done = {_key(record) for record in log.read()}
        for attack, defence, seed in _order(attacks, defences, seeds):
            base = _base_name(bases, seed)
            if (base, attack, defence, seed) not in done:
                if limit_s is not None and time.monotonic() - started > limit_s:
                    break
                shared = _bench(out, bases, seed)
                log.append(_record(shared, base, attack, defence, seed))
            if progress is not None:
                progress(1)
    return read(out)


def read(out: Path) -> list[Record]:
    """The records of a benchmark folder and, computed from them, those of the automatic choice.

    Raises:
        InputError: There is no benchmark in the folder.
    """
    if not (out / LOG).exists():
        raise InputError("no benchmark here", path=out, fix="holdfast lab bench --out FOLDER")
    records = list(JsonLines(out / LOG).read())
    return records + _chosen(records)


def _order(attacks: Sequence[str], defences: Sequence[str], seeds: int) -> list[tuple[str, str, int]]:
    """Untouched base first, then defence by defence, so that a stopped benchmark has whole columns."""
    arms = ["base", *defences]
    return [(attack, arm, seed) for arm in arms for attack in attacks for seed in range(seeds)]


def _record(shared: Bench, base: str, attack: str, defence: str, seed: int) -> Record:
    found = base_rates(shared, attack) if defence == "base" else run_cell(shared, attack, defence, seed)
    return {"schema": 1, "base": base, "attack": attack, "defence": defence, "seed": seed, **found}


def _key(record: Record) -> tuple[str, str, str, int]:
    return record["base"], record["attack"], record["defence"], record["seed"]


def _base_name(bases: Path | None, seed: int) -> str:
    return "shipped" if bases is None else f"seed-{seed}"


def _bench(out: Path, bases: Path | None, seed: int) -> Bench:
    if bases is None:
        return Bench(base_model(), unaligned_model(), out / "shipped")
    home = bases / f"seed-{seed}"
    if not (home / "base" / "model.safetensors").exists():
        from holdfast.lab.build import train_checkpoints

        train_checkpoints(home, seed)
    return Bench(home / "base", home / "unaligned", out / f"seed-{seed}")


def _chosen(records: list[Record]) -> list[Record]:
    """What `holdfast run` would release: the first that passes on the development prompts.

    Where none passes it is the one that lost least safety there, released by nobody: `passed` is
    False. Its cost is that of everything tried before it.
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
        found.append(_choose(tried, arms["base"]["develop"]))
    return found


def _choose(tried: list[Record], base: Rates) -> Record:
    good = [passes(record["develop"], base) for record in tried]
    if any(good):
        place = good.index(True)
        tried = tried[: place + 1]
        record = tried[place]
    else:
        record = min(tried, key=lambda one: float(one["develop"]["harm"]))
    cost = sum(one["seconds"] for one in tried)
    return {**record, "defence": AUTO, "chose": record["defence"], "passed": any(good), "seconds": cost}


def _known(names: Sequence[str], table: dict[str, Any], kind: str) -> None:
    for name in names:
        if name not in table:
            raise InputError(f"unknown {kind} '{name}'", fix=f"one of {', '.join(table)}")
