"""Put the safety rows between the user's rows and write down what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from holdfast import formats
from holdfast.conversation import Conversation
from holdfast.errors import InputError
from holdfast.files import atomic_writer, digest_file
from holdfast.judges.base import Judge
from holdfast.mix.barred import mixed_prompts
from holdfast.mix.choice import choose
from holdfast.mix.config import MixConfig
from holdfast.mix.deep import add_deep
from holdfast.mix.openai import as_line, is_wanted
from holdfast.mix.pool import Pool, collect
from holdfast.mix.record import BarredSuite, MixRecord
from holdfast.mix.rows import SafetyRow
from holdfast.mix.sources import HANDWRITTEN, HANDWRITTEN_NAME, handwritten, matched, read_safety
from holdfast.mix.task_format import TaskFormat, learn
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
    rows, left_out = _clean_rows(clean)
    dialect = learn(rows)
    pool = collect(base, requests, judge, config, dialect, progress)
    _add_sources(pool, config, dialect)
    wanted = config.count != 0 if config.count is not None else config.share > 0
    if wanted and not pool.rows:
        raise InputError(_nothing_found(pool), fix="check base, suites and judge, or set share: 0")
    if config.deep and wanted:
        add_deep(pool, config.deep, base, judge, config, dialect, progress)
    lines = [as_line(row) for row in rows]
    chosen = choose([*pool.rows, *pool.deep], rows, config) if wanted else []
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
        pool=dict(Counter(row.kind for row in [*pool.rows, *pool.deep])),
        added=dict(Counter(row.kind for row in chosen)),
        outcomes={kind: dict(counts) for kind, counts in pool.outcomes.items()},
        hazards=dict(Counter(row.hazard for row in chosen if row.hazard)),
        safety_lines=[place + 1 for place in places],
        barred=_barred(requests, pool, config),
        prompts=mixed_prompts(requests, pool.rows, _files(config)),
        dialect=dialect.to_dict(),
        base=asdict(base.identity),
        judge=f"{judge.name} {judge.version}",
        config=config.model_dump(mode="json"),
    )
    record.save(out / "mix.json")
    return record


def _add_sources(pool: Pool, config: MixConfig, dialect: TaskFormat) -> None:
    """Add the hand-written set and the user's file to what the base answered."""
    given = list(handwritten()) if config.handwritten else []
    given += read_safety(config.file, config.file.name) if config.file else []
    pool.rows += matched(given, dialect, config)


def positions(clean: int, added: int) -> list[int]:
    """Places of the added rows in the mixed file, evenly spread, counted from 0."""
    total = clean + added
    return [int((index + 0.5) * total / added) for index in range(added)]


def _clean_rows(clean: Path) -> tuple[list[Conversation], int]:
    every = list(formats.read(clean))
    rows = [row for row in every if is_wanted(row)]
    if not rows:
        raise InputError("no rows to mix", path=clean, fix="check what the screen kept")
    return rows, len(every) - len(rows)


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
            line = orjson.dumps(next(added).to_dict()) if place in where else next(clean)
            handle.write(line + b"\n")


def _write_safety(path: Path, rows: Sequence[SafetyRow]) -> None:
    with atomic_writer(path) as handle:
        for row in rows:
            extra = {
                "kind": row.kind,
                "suite": row.source,
                "prompt_id": row.prompt_id,
                "hazard": row.hazard,
            }
            handle.write(orjson.dumps(row.to_dict() | extra) + b"\n")


def _barred(suites: Sequence[Suite], pool: Pool, config: MixConfig) -> list[BarredSuite]:
    kept = Counter(row.source for row in [*pool.rows, *pool.deep])
    barred = [
        BarredSuite(
            name=suite.name,
            version=suite.version,
            digest=suite.digest,
            asked=pool.asked[suite.name],
            kept=kept[suite.name],
        )
        for suite in suites
    ]
    for path in _files(config):
        name = HANDWRITTEN_NAME if path == HANDWRITTEN else path.name
        asked = pool.asked[name]
        barred.append(
            BarredSuite(name=name, version="", digest=digest_file(path), asked=asked, kept=kept[name])
        )
    return barred


def _files(config: MixConfig) -> list[Path]:
    """The files whose rows join the pool."""
    return [HANDWRITTEN, *config.files] if config.handwritten else [*config.files]
