"""The guarded run on the demonstration project: time and memory of each stage, and five seeds.

    python benchmarks/guarded_run.py [--seeds 5] [--out FOLDER]

For every seed the demonstration project is written afresh with that training seed and run twice
into one folder: `holdfast run` to its decision, then again, which must skip everything. Rates are
read from `decision.json` (development suites, the same prompts for every arm); the intervals are
those of a mean over seeds (Student's t, 95 %). Step time of the guard over plain training is taken
within each run, from the training records of its candidates.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scipy import stats

from holdfast.lab.demo import write_project

HOLDFAST = [sys.executable, "-c", "from holdfast.cli.app import main; main()"]


def main() -> None:
    """Run the seeds and print one Markdown table each for stages, step time and rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None, help="keep the run folders here")
    options = parser.parse_args()
    root = options.out or Path(tempfile.mkdtemp(prefix="guarded-run-"))
    runs = [one_run(root / f"seed{seed}", seed) for seed in range(options.seeds)]
    print(report(runs))
    (root / "guarded_run.json").write_text(json.dumps(runs, indent=2))


def one_run(folder: Path, seed: int) -> dict[str, Any]:
    """Write the project with this seed, run it, and gather what it measured."""
    if not folder.exists():
        write_project(folder)
        config = folder / "holdfast.yaml"
        lines = config.read_text().splitlines()
        seeded = [f"  seed: {seed}" if line.strip().startswith("seed:") else line for line in lines]
        assert lines != seeded or seed == 0, "the project file has no seed to set"
        config.write_text("\n".join(seeded) + "\n")
    started = time.monotonic()
    code = holdfast("run", folder)
    total = time.monotonic() - started
    started = time.monotonic()
    assert holdfast("run", folder) == code
    again = time.monotonic() - started
    (run,) = (folder / "runs").iterdir()
    decision = json.loads((run / "decision.json").read_text())
    return {
        "seed": seed,
        "verdict": decision["verdict"],
        "chosen": decision["chosen"],
        "seconds": total,
        "seconds_when_unchanged": again,
        "peak_gib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
        "stages": stage_seconds(run),
        "step_ms": step_times(run),
        "rates": rates(decision),
    }


def holdfast(verb: str, folder: Path) -> int:
    """Run the real command line; its exit code."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    result = subprocess.run([*HOLDFAST, verb, str(folder)], env=environment, capture_output=True, text=True)
    if result.returncode not in (0, 1, 3):
        sys.exit(result.stderr)
    return result.returncode


def stage_seconds(run: Path) -> dict[str, float]:
    """Seconds of each stage, from the manifests."""
    manifests = sorted(run.rglob("manifest.json"))
    return {
        path.parent.relative_to(run).as_posix(): json.loads(path.read_text())["seconds"] for path in manifests
    }


def step_times(run: Path) -> dict[str, float]:
    """Milliseconds per optimiser step of each trained candidate."""
    found = {}
    for path in sorted(run.glob("candidates/*/train/train.json")):
        record = json.loads(path.read_text())
        found[path.parent.parent.name] = 1000 * record["seconds"] / record["steps"]
    return found


def rates(decision: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Harmful compliance and task quality of each arm on the development suites."""
    arms = {row["name"]: row["axes"] for row in decision["candidates"]}
    if decision["reference"]:
        arms["unscreened, plain"] = decision["reference"]["axes"]
    found = {}
    for name, axes in arms.items():
        table = {axis["name"]: axis for axis in axes}
        found.setdefault("base", {"harm": table["harm"]["base"], "task": 1 - table["task"]["base"]})
        found[name] = {"harm": table["harm"]["tuned"], "task": 1 - table["task"]["tuned"]}
    return found


def report(runs: list[dict[str, Any]]) -> str:
    """The tables."""
    lines = ["| seed | verdict | chosen | seconds | unchanged | peak GiB |", "|--:|---|---|--:|--:|--:|"]
    for run in runs:
        lines.append(
            f"| {run['seed']} | {run['verdict']} | {run['chosen']} | {run['seconds']:.0f} "
            f"| {run['seconds_when_unchanged']:.1f} | {run['peak_gib']:.2f} |"
        )
    lines += ["", "| stage | seconds, mean |", "|---|--:|"]
    for stage in runs[0]["stages"]:
        values = [run["stages"][stage] for run in runs if stage in run["stages"]]
        lines.append(f"| {stage} | {statistics.mean(values):.1f} |")
    lines += ["", "| step time over plain, same run | ratio |", "|---|--:|"]
    for name in runs[0]["step_ms"]:
        ratios = [run["step_ms"][name] / run["step_ms"]["plain"] for run in runs if name in run["step_ms"]]
        lines.append(f"| {name} | {interval(ratios, 2)} |")
    lines += ["", "| model | seeds | harmful compliance, % | task quality, % |", "|---|--:|--:|--:|"]
    for arm in dict.fromkeys(name for run in runs for name in run["rates"]):
        measured = [run["rates"][arm] for run in runs if arm in run["rates"]]
        harm = interval([100 * row["harm"] for row in measured], 1)
        task = interval([100 * row["task"] for row in measured], 1)
        lines.append(f"| {arm} | {len(measured)} | {harm} | {task} |")
    return "\n".join(lines)


def interval(values: list[float], digits: int) -> str:
    """Mean with the half-width of its 95 % interval over seeds."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.{digits}f} ± {half:.{digits}f}"


if __name__ == "__main__":
    main()
