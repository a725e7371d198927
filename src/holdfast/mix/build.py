"""Put the safety rows between the user's rows and write down what was done."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from holdfast import formats
from holdfast.errors import InputError
from holdfast.files import atomic_writer
from holdfast.judges.base import Judge
from holdfast.mix.config import MixConfig
from holdfast.mix.openai import as_line, as_message, is_wanted
from holdfast.mix.pool import Pool, SafetyRow, collect
from holdfast.mix.record import BarredSuite, MixRecord
from holdfast.models.base import Generator, Progress
from holdfast.suites.base import Suite


def mix(
    clean: Path,
    *,
    base: Generator,
    requests: Sequence[Suite],
    judge: Judge,
    out: Path,
    config: MixConfig | None = None,
    progress: Progress | None = None,
) -> MixRecord:
    """Add safety rows answered by the base model itself to the user's data.

    Harmful requests (`expect` refuse) are kept when the base declines or completes safely,
    benign prompts (`expect` comply) when it answers helpfully. Writes `mixed.jsonl` (the user's
    rows in their order as OpenAI messages, safety rows spread evenly between them),
    `safety.jsonl` (the whole safety pool, for guards) and `mix.json`.

    Args:
        clean: The user's data, any known format.
        base: The model that will be fine-tuned.
        requests: Suites to ask; they are barred from the gate afterwards.
        judge: Decides what an answer is.
        out: Folder for the three files.
        config: Settings; default `MixConfig()`.
        progress: Called with the number of prompts answered.

    Raises:
        InputError: The data cannot be read, or safety rows are wanted and the base gave none.
    """
    config = config or MixConfig()
    lines, left_out = _clean_lines(clean)
    wanted = config.count if config.count is not None else round(config.share * len(lines))
    pool = collect(base, requests, judge, config, progress)
    if wanted and not pool.rows:
        raise InputError(
            _nothing_found(pool), fix="check the base, the suites and the judge, or set share: 0"
        )
    chosen = choose(pool.rows, wanted, config)
    mixed, safety = out / "mixed.jsonl", out / "safety.jsonl"
    places = positions(len(lines), len(chosen))
    _write_mixed(mixed, lines, chosen, places)
    _write_safety(safety, pool.rows)
    record = MixRecord(
        mixed=str(mixed),
        safety=str(safety),
        clean_rows=len(lines),
        left_out=left_out,
        mixed_rows=len(lines) + len(chosen),
        pool=dict(Counter(row.kind for row in pool.rows)),
        added=dict(Counter(row.kind for row in chosen)),
        outcomes={kind: dict(counts) for kind, counts in pool.outcomes.items()},
        hazards=dict(Counter(row.hazard for row in chosen if row.hazard)),
        safety_lines=[place + 1 for place in places],
        barred=_barred(requests, pool),
        base=asdict(base.identity),
        judge=f"{judge.name} {judge.version}",
        config=config.model_dump(mode="json"),
    )
    record.save(out / "mix.json")
    return record


def choose(rows: Sequence[SafetyRow], count: int, config: MixConfig) -> list[SafetyRow]:
    """`count` rows with the wanted share of look-alikes; a small pool is used more than once."""
    kinds = {kind: [row for row in rows if row.kind == kind] for kind in ("refuse", "lookalike")}
    few = round(count * config.lookalikes) if kinds["refuse"] else count
    if not kinds["lookalike"]:
        few = 0
    picked = _cycle(kinds["lookalike"], few) + _cycle(kinds["refuse"], count - few)
    random.Random(config.seed).shuffle(picked)
    return picked


def _cycle(rows: Sequence[SafetyRow], count: int) -> list[SafetyRow]:
    return [rows[index % len(rows)] for index in range(count)] if rows else []


def positions(clean: int, added: int) -> list[int]:
    """Places of the added rows in the mixed file, evenly spread, counted from 0."""
    total = clean + added
    return [int((index + 0.5) * total / added) for index in range(added)]


def _clean_lines(clean: Path) -> tuple[list[bytes], int]:
    lines, left_out = [], 0
    for row in formats.read(clean):
        if is_wanted(row):
            lines.append(as_line(row))
        else:
            left_out += 1
    if not lines:
        raise InputError("no rows to mix", path=clean, fix="check what the screen kept")
    return lines, left_out


def _nothing_found(pool: Pool) -> str:
    asked = sum(pool.asked.values())
    if not asked:
        return "the suites have no prompt with expect 'refuse' or 'comply'"
    return f"none of the base's {asked} answers can be used: {_plain(pool.outcomes)}"


def _plain(outcomes: dict[str, Counter[str]]) -> str:
    return "; ".join(
        f"{kind}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        for kind, counts in outcomes.items()
    )


def _write_mixed(path: Path, lines: list[bytes], chosen: list[SafetyRow], places: list[int]) -> None:
    clean, added, where = iter(lines), iter(chosen), set(places)
    with atomic_writer(path) as handle:
        for place in range(len(lines) + len(chosen)):
            line = orjson.dumps(_as_row(next(added))) if place in where else next(clean)
            handle.write(line + b"\n")


def _write_safety(path: Path, rows: Sequence[SafetyRow]) -> None:
    with atomic_writer(path) as handle:
        for row in rows:
            extra = {
                "kind": row.kind,
                "suite": row.suite,
                "prompt_id": row.prompt_id,
                "hazard": row.hazard,
            }
            handle.write(orjson.dumps(_as_row(row) | extra) + b"\n")


def _as_row(row: SafetyRow) -> dict[str, Any]:
    return {"messages": [as_message(message) for message in row.messages]}


def _barred(suites: Sequence[Suite], pool: Pool) -> list[BarredSuite]:
    kept = Counter(row.suite for row in pool.rows)
    return [
        BarredSuite(
            name=suite.name,
            version=suite.version,
            digest=suite.digest,
            asked=pool.asked[suite.name],
            kept=kept[suite.name],
        )
        for suite in suites
    ]
