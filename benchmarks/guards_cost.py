"""What every guard and the probe cost: step time and peak memory, as ratios to plain training.

    python benchmarks/guards_cost.py [--model lab|wide|large] [--rounds 5] [--steps 30] [--method lora|full]

All arms run in one process, interleaved: in every round each arm trains the same number of steps on
the same rows from the same start, and its median step time is divided by that of plain training in
the same round. On a CPU the time is that of the process, not of the wall clock. The table gives the
median over the rounds, and the range. One-off work (the reference pass) is timed apart. Memory is
measured in a process of its own for every arm, as the rise of the peak resident size over that
before the model is loaded.

`lab` is the lab model with the demonstration's rows; `wide` a random Llama of 8 M parameters with a
vocabulary of 8,192, where the arithmetic and not Python decides; `large` one of 82 M parameters and
32,000 words, where the weights and not the libraries decide the memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Before torch: with libgomp's default spinning, another process makes a step ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, TrainerCallback

from holdfast.lab import base_model, unaligned_model
from holdfast.train import (
    EMA,
    AsFT,
    Constrained,
    Freeze,
    KLAnchor,
    Lisa,
    Probe,
    SafeGrad,
    TokenWeights,
    TrainConfig,
)
from holdfast.train.guards import GuardContext, build
from holdfast.train.mixin import attach
from holdfast.train.probe import SafetyProbe
from holdfast.train.rows import TokenRow, read_rows, tokenise
from holdfast.train.trainer import build_trainer

TARGETS = {"constrained": 1.15, "kl_anchor": 1.4, "safegrad": 2.2, "probe": 1.05}
PROBE_EVERY = 50
PROBES = {"probe": Probe(every=3), "probe, rollback": Probe(every=3, act="rollback")}
"""The probe as an arm of its own, for its memory."""
SHAPES: dict[str, tuple[dict[str, int], int, int]] = {
    "wide": (
        {
            "vocab_size": 8192, "hidden_size": 256, "intermediate_size": 768,
            "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 4,
        }, 8, 64,
    ),
    "large": (
        {
            "vocab_size": 32_000, "hidden_size": 768, "intermediate_size": 2048,
            "num_hidden_layers": 8, "num_attention_heads": 12, "num_key_value_heads": 4,
        }, 4, 96,
    ),
}  # fmt: skip
"""Shape of the random models, rows in a batch, tokens in a row."""


def arms(model: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {
        "plain": [],
        "constrained": [Constrained()],
        "kl_anchor": [KLAnchor()],
        "safegrad": [SafeGrad()],
        "lisa": [Lisa()],
        "ema": [EMA()],
        "freeze": [Freeze(layers=(1,))],
        "token_weights": [TokenWeights(judge="keyword")],
    }
    if model == "lab":
        found["asft"] = [AsFT(unaligned=unaligned_model())]
    return found


def clock() -> float:
    """Seconds: of this process's own computing on a CPU, which other processes do not disturb."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


class Times(TrainerCallback):
    """Seconds of every optimiser step, from its first forward to the end of its hooks."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.started = clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds.append(clock() - self.started)


def prepare(folder: Path, model: str) -> dict[str, Any]:
    """Base, rows and safety rows of the benchmark."""
    if model == "lab":
        return _lab(folder)
    shape, batch, length = SHAPES[model]
    base = folder / model
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**shape, pad_token_id=0, bos_token_id=None, eos_token_id=1)).save_pretrained(
        base
    )
    AutoTokenizer.from_pretrained(base_model()).save_pretrained(base)
    generator = torch.Generator().manual_seed(0)
    words = shape["vocab_size"]
    rows = [_random_row(generator, words, length, length * 5 // 8) for _ in range(160)]
    safety = [
        _random_row(generator, words, 48, 24, kind) for kind in ("refuse", "lookalike") for _ in range(32)
    ]
    return {"base": base, "rows": rows, "safety": safety, "batch": batch}


def _random_row(generator: torch.Generator, words: int, length: int, answer: int, kind: str = "") -> TokenRow:
    ids = torch.randint(8, words, (length,), generator=generator).tolist()
    labels = [-100] * (length - answer) + ids[length - answer :]
    return TokenRow(tuple(ids), tuple(labels), 0, kind)


def _lab(folder: Path) -> dict[str, Any]:
    from holdfast import judges, models, suites
    from holdfast.lab.demo import write_project
    from holdfast.mix import MixConfig, mix

    write_project(folder / "demo")
    record = mix(
        folder / "demo" / "data" / "train.jsonl",
        base=models.load(folder / "demo" / "model"),
        requests=[suites.load(folder / "demo" / "suites" / "requests.jsonl")],
        judge=judges.load("lab"),
        out=folder / "mix",
        config=MixConfig(max_new_tokens=40),
    )
    base = folder / "demo" / "model"
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows, safety = (tokenise(read_rows(Path(p)), tokenizer, 256).rows for p in (record.mixed, record.safety))
    return {"base": base, "rows": rows, "safety": safety, "batch": 16}


def one_arm(
    given: dict[str, Any],
    guards: list[Any],
    steps: int,
    method: str,
    out: Path,
    probe: Probe | None = None,
) -> dict[str, Any]:
    """Train one arm; seconds per step, and of the work before the first."""
    config = TrainConfig(
        method=method, max_steps=steps, batch_size=given["batch"], learning_rate=1e-3, save_steps=10**6
    )
    tokenizer = AutoTokenizer.from_pretrained(given["base"])
    model = AutoModelForCausalLM.from_pretrained(given["base"], dtype=torch.float32)
    trainer = build_trainer(model, tokenizer, given["rows"], out, config)
    context = GuardContext(
        safety=given["safety"],
        folder=None,
        base=given["base"],
        tokenizer=tokenizer,
        pad=tokenizer.pad_token_id,
    )
    attach(trainer, build(guards), context)
    times = Times()
    trainer.add_callback(times)
    if probe is not None:
        trainer.add_callback(SafetyProbe(trainer, context, probe))
    started = clock()
    trainer.train()
    whole = clock() - started
    return {
        "step": statistics.median(times.seconds[2:]),
        "before": whole - sum(times.seconds),
        "trainer": trainer,
        "context": context,
    }


def probe_seconds(trainer: Any, context: GuardContext) -> float:
    """Seconds of one measurement, the median of five."""
    probe = SafetyProbe(trainer, context, Probe())
    found = []
    for _ in range(5):
        started = clock()
        probe._measure()
        found.append(clock() - started)
    return statistics.median(found)


def time_arms(given: dict[str, Any], options: argparse.Namespace, out: Path) -> dict[str, dict[str, Any]]:
    ratios: dict[str, list[float]] = {}
    before: dict[str, list[float]] = {}
    for round_ in range(options.rounds):
        plain = 0.0
        for name, guards in arms(options.model).items():
            if options.arms and name not in ("plain", *options.arms):
                continue
            done = one_arm(given, guards, options.steps, options.method, out / f"{name}{round_}")
            if name == "plain":
                plain, first = done["step"], done
                cost = probe_seconds(first["trainer"], first["context"])
                ratios.setdefault("probe", []).append(1 + cost / (PROBE_EVERY * plain))
            ratios.setdefault(name, []).append(done["step"] / plain)
            before.setdefault(name, []).append(done["before"])
            if name == "plain":
                ratios.setdefault("plain seconds", []).append(plain)
    plain_before = statistics.median(before["plain"])
    return {
        name: {
            "ratio": statistics.median(values),
            "low": min(values),
            "high": max(values),
            "one_off": statistics.median(before[name]) - plain_before if name in before else 0.0,
        }
        for name, values in ratios.items()
    }


def memory_of(name: str, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--memory-arm", name, "--model", options.model]
    command += ["--method", options.method]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return float(json.loads(done.stdout.splitlines()[-1])["mb"])


def memory_arm(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        given = prepare(folder, options.model)
        start = reset_peak()
        name = options.memory_arm
        guards = [] if name in PROBES else arms(options.model)[name]
        one_arm(given, guards, 6, options.method, folder / "run", PROBES.get(name))
    print(json.dumps({"mb": peak_mb() - start}))


def reset_peak() -> float:
    """Forget the peak of the resident size (Linux); give the present size in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_mb() -> float:
    """Peak of the resident size since `reset_peak`, in MB."""
    return _status("VmHWM")


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["lab", *SHAPES], default="lab")
    parser.add_argument("--method", choices=["lora", "full"], default="lora")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--arms", nargs="*", help="only these, besides plain")
    parser.add_argument("--only-memory", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--memory-arm", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_arm:
        memory_arm(options)
        return
    if options.only_memory:
        plain = memory_of("plain", options)
        print(f"plain: {plain:.0f} MB")
        for name in options.arms or [*PROBES, *(arm for arm in arms(options.model) if arm != "plain")]:
            size = memory_of(name, options)
            print(f"{name}: {size:.0f} MB, {size / plain:.2f} of plain", flush=True)
        return
    with tempfile.TemporaryDirectory() as name:
        found = time_arms(prepare(Path(name), options.model), options, Path(name))
    plain = found.pop("plain seconds")["ratio"]
    names = [name for name in found if name not in ("plain", "probe")]
    measured = [] if options.no_memory else ["plain", "probe", *names]
    memory = {name: memory_of(name, options) for name in measured}
    print(f"plain step: {1000 * plain:.0f} ms ({options.model}, {options.method}, {options.rounds} rounds)\n")
    print("| | step time | range | target | once, s | peak memory |")
    print("|---|---|---|---|---|---|")
    for name in ["constrained", "kl_anchor", "safegrad", "probe", *names]:
        if name in TARGETS and name in found:
            row(name, found.pop(name), memory)
    for name in names:
        if name in found:
            row(name, found[name], memory)
    if options.json:
        options.json.write_text(json.dumps({"plain_seconds": plain, "arms": found, "memory_mb": memory}))


def row(name: str, values: dict[str, Any], memory: dict[str, float]) -> None:
    target = f"<= {TARGETS[name]}" if name in TARGETS else ""
    size = f"{memory[name] / memory['plain']:.2f}" if name in memory else ""
    print(
        f"| {name} | {values['ratio']:.2f} | {values['low']:.2f}-{values['high']:.2f} | {target} "
        f"| {values['one_off']:.2f} | {size} |"
    )


if __name__ == "__main__":
    main()
