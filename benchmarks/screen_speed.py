"""Speed and memory of the screen, next to orjson alone and to datatrove, on the same file in one run.

    python benchmarks/screen_speed.py --rows 10000 100000 1000000 --rounds 3

Every measurement is a process of its own; the contestants take turns, so that a busy machine is busy
for all of them. Rates are given per second of wall time and per second of CPU time (which hardly
depends on what else the machine does). Memory is the largest sum, sampled four times a second, of
the proportional set size of the process and all its descendants (shared pages are counted once): workers, and
everything that Ray starts.
datatrove (`pip install datatrove`) and Ray (`pip install 'holdfast[ray]'`) are left out where missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import orjson

TOPICS = "gardens rivers bread trains clocks maps violins harbours bridges lanterns tea wool".split()  # noqa: SIM905
SENTENCES = (
    "The {a} of the old town were counted again in {n}, and {m} of them had changed.",
    "Start with {m} grams of flour, then add water slowly and keep stirring for {k} minutes.",
    "A good rule is to write down the {a} first and to compare them with the {b} later.",
    "In {n} the council decided that {a} and {b} should be looked after by the same office.",
    "You can divide {n} by {k} and round the result; the difference is small.",
    "It depends on the {a}: some people like them, others would rather have {b}.",
    "Here is a short list: {a}, {b}, and number {m} on the plan.",
    "Please check the date, the address and the {a} before you send the form.",
    "The function takes a list of {a} and returns the first {k} of them in order.",
    "Nobody knows why the {b} stopped at {m}, but the records from {n} are complete.",
)


def sentence(rng: random.Random) -> str:
    a, b = rng.sample(TOPICS, 2)
    return rng.choice(SENTENCES).format(
        a=a, b=b, n=rng.randint(1200, 2026), m=rng.randint(2, 400), k=rng.randint(2, 60)
    )


def write_rows(path: Path, rows: int, seed: int = 0) -> None:
    """Chat rows of about 550 bytes: by repetition with variation."""
    rng = random.Random(seed)
    pool = [sentence(rng) for _ in range(20_000)]
    with path.open("wb") as handle:
        for number in range(rows):
            ask = f"{pool[rng.randrange(len(pool))]} What follows from that for case {number}?"
            say = " ".join(pool[rng.randrange(len(pool))] for _ in range(4))
            messages = [{"role": "user", "content": ask}, {"role": "assistant", "content": say}]
            handle.write(orjson.dumps({"messages": messages}) + b"\n")


def run_orjson(path: Path, out: Path) -> None:
    with path.open("rb") as handle:
        for line in handle:
            orjson.loads(line)


def run_datatrove(path: Path, out: Path) -> None:
    """Reader, one regex filter, writer: what datatrove does at the least to screen a file."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters import RegexFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from loguru import logger

    logger.remove()

    def adapter(self: object, data: dict, path: str, id_in_file: int) -> dict:
        return {"text": "\n".join(m["content"] for m in data["messages"]), "id": str(id_in_file)}

    LocalPipelineExecutor(
        pipeline=[
            JsonlReader(str(path.parent), glob_pattern=path.name, adapter=adapter),
            RegexFilter(r"(?i)never refuse"),
            JsonlWriter(str(out), compression=None),
        ],
        logging_dir=str(out / "logs"),
        tasks=1,
        workers=1,
    ).run()


def run_holdfast(path: Path, out: Path, rules: str, jobs: int, engine: str) -> None:
    from holdfast.screen import ScreenConfig, screen
    from holdfast.screen.base import RowRule
    from holdfast.screen.ruleset import all_rules

    select: tuple[str, ...] = ()
    if rules == "reader":
        select = ("FM001",)
    elif rules == "rows":
        select = tuple(info.code for rule in all_rules() if isinstance(rule, RowRule) for info in rule.infos)
    screen(path, config=ScreenConfig(select=select), out=out, jobs=jobs, engine=engine)


def contestants(with_ray: bool) -> list[tuple[str, str]]:
    found = [("orjson alone", "orjson")]
    if importlib.util.find_spec("datatrove"):
        found.append(("datatrove: reader + 1 regex + writer", "datatrove"))
    found += [
        ("holdfast: reading and writing only", "reader 1 local"),
        ("holdfast: all rules by row, no classifier", "rows 1 local"),
        ("the same, 2 processes", "rows 2 local"),
        ("holdfast: every rule", "all 1 local"),
        ("the same, 2 processes", "all 2 local"),
    ]
    if with_ray and importlib.util.find_spec("ray"):
        found.append(("holdfast: all rules by row, Ray", "rows 2 ray"))
        found.append(("holdfast: every rule, Ray", "all 2 ray"))
    return found


def measure(path: Path, what: str) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB of one contestant, start of Python left out."""
    with tempfile.TemporaryDirectory(dir=path.parent) as out:
        command = [sys.executable, __file__, "--one", what, "--file", str(path), "--out", out]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{what}: {done.stderr[-2000:]}")
        wall, cpu, memory = json.loads(done.stdout.splitlines()[-1])
        return wall, cpu, memory


class Peak:
    """Samples the memory of this process and its descendants while it is entered."""

    def __init__(self) -> None:
        self.kilobytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.kilobytes = max(self.kilobytes, sum(map(proportional, family(os.getpid()))))
            if self._done.wait(0.25):
                return


def family(root: int) -> list[int]:
    """A process and all its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def proportional(process: int) -> int:
    """Proportional set size in kB; 0 for a process that has gone."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)


def one(what: str, path: Path, out: Path) -> None:
    kind, *rest = what.split()
    start, cpu = time.perf_counter(), cpu_seconds()
    with Peak() as peak:
        if kind == "orjson":
            run_orjson(path, out)
        elif kind == "datatrove":
            run_datatrove(path, out)
        else:
            run_holdfast(path, out, kind, int(rest[0]), rest[1])
    print(json.dumps([time.perf_counter() - start, cpu_seconds() - cpu, peak.kilobytes / 1024]))


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="contestants whose name contains one of these, by comma")
    parser.add_argument("--no-ray", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one, args.file, args.out)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print("| rows | what | rows/s | MB/s | rows per CPU second | against datatrove | peak MB |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    for rows in args.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.jsonl"
            write_rows(path, rows)
            wanted = args.only.split(",")
            every = contestants(not args.no_ray)
            chosen = [c for c in every if any(word in " ".join(c) for word in wanted)]
            found: dict[str, list[tuple[float, float, float]]] = {what: [] for _, what in chosen}
            for _ in range(args.rounds):
                for _, what in chosen:
                    found[what].append(measure(path, what))
            size = path.stat().st_size / 1e6
            base = (
                statistics.median(cpu for _, cpu, _ in found["datatrove"]) if "datatrove" in found else None
            )
            for name, what in chosen:
                wall, cpu, memory = (statistics.median(column) for column in zip(*found[what], strict=True))
                ratio = f"{base / cpu:.2f}" if base else ""
                print(
                    f"| {rows:,} | {name} | {rows / wall:,.0f} | {size / wall:.1f} | {rows / cpu:,.0f} "
                    f"| {ratio} | {memory:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
