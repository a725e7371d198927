"""Speed and memory of the local backend, measured side by side in one run.

    python benchmarks/audit_speed.py [--size 3m|1b|7b] [--device cpu|cuda] [--prompts 200] [--new 64]
    python benchmarks/audit_speed.py --memory [--size 300m]
    python benchmarks/audit_speed.py --inspect PYTHON     # an interpreter that has inspect_ai

Throughput: the same prompts, greedy, the same number of new tokens, by (a) a hand-written loop that
sorts by length, pads left and calls `transformers.generate`, (b) `holdfast.models`, and (c), where
`--inspect` names an interpreter, inspect_ai's `hf/` provider. Arms take turns; the ratio is that of
the medians. On a CPU (a) and (b) are timed in CPU seconds of one thread (set OMP_NUM_THREADS=1), against
(c) in wall seconds. Weights are random: speed does not depend on their values.

Memory: the peak of a process that loads a base and answers once, against one that audits the base
and a LoRA adapter of it as a pair; with and without what the libraries take before any weights.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

SIZES: dict[str, dict[str, int]] = {
    "3m": {"width": 224, "layers": 6},
    "100m": {"width": 768, "layers": 16, "num_attention_heads": 12},
    "300m": {"width": 1024, "layers": 24, "num_attention_heads": 16},
    "1b": {"width": 2048, "layers": 22, "num_attention_heads": 32, "vocab_size": 32000},
    "7b": {"width": 4096, "layers": 40, "num_attention_heads": 32, "vocab_size": 32000},
}
WORDS = ("how", "bake", "a", "loaf", "of", "bread", "home", "quick", "brown", "fox", "lazy", "dog", "?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default=None)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--inspect", metavar="PYTHON")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(peak_of(*options.child, options.device, options.dtype)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.memory:
            memory(Path(folder), options)
        else:
            throughput(Path(folder), options)


def clock(options: argparse.Namespace) -> float:
    """Seconds of this process on a CPU (other work on the machine does not count), of the wall else."""
    return time.process_time() if options.device == "cpu" else time.perf_counter()


def texts(n: int) -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, 60))) for _ in range(n)]


def build(folder: Path, size: str) -> Path:
    from tiny_models import save_llama

    shape = SIZES[size]
    return save_llama(folder / size, max_position_embeddings=2048, initializer_range=0.02, **shape)


def throughput(folder: Path, options: argparse.Namespace) -> None:
    path = build(folder, options.size or "3m")
    prompts = texts(options.prompts)
    rows = []
    for batch in options.batches:
        arms = {
            "by hand": by_hand(path, prompts, batch, options),
            "holdfast": by_holdfast(path, prompts, batch, options),
        }
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        answers: dict[str, list[str]] = {}
        for turn in range(options.rounds + 1):  # the first round warms up and is not counted
            for name, arm in arms.items():
                started = clock(options)
                answers[name] = arm()
                if turn:
                    seconds[name].append(clock(options) - started)
        middle = {name: statistics.median(values) for name, values in seconds.items()}
        same = sum(a == b for a, b in zip(*answers.values(), strict=True))
        rows.append((batch, middle, same, against_inspect(path, prompts, batch, arms["holdfast"], options)))
    print("| batch | by hand, s | holdfast, s | throughput, holdfast / by hand | same answers | inspect_ai |")
    print("|---|---|---|---|---|---|")
    for batch, middle, same, other in rows:
        ratio = middle["by hand"] / middle["holdfast"]
        print(
            f"| {batch} | {middle['by hand']:.2f} | {middle['holdfast']:.2f} | {ratio:.2f} "
            f"| {same}/{options.prompts} | {other} |"
        )


def by_hand(path: Path, prompts: list[str], batch: int, options: argparse.Namespace) -> Any:
    """The loop a careful user writes: sorted by length, left padding, no sampling."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(path), padding_side="left")
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(options.dtype or "", torch.float32)
    model = AutoModelForCausalLM.from_pretrained(str(path), dtype=dtype).to(options.device).eval()
    turns = [[{"role": "user", "content": text}] for text in prompts]
    rendered = [tokenizer.apply_chat_template(t, tokenize=False, add_generation_prompt=True) for t in turns]

    def run() -> list[str]:
        order = sorted(range(len(rendered)), key=lambda i: -len(rendered[i]))
        answers = [""] * len(rendered)
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            inputs = tokenizer(
                [rendered[i] for i in part], return_tensors="pt", padding=True, add_special_tokens=False
            ).to(options.device)
            inputs.pop("token_type_ids", None)
            with torch.inference_mode():
                output = model.generate(**inputs, max_new_tokens=options.new, do_sample=False)
            new = output[:, inputs["input_ids"].shape[1] :]
            for i, text in zip(part, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
                answers[i] = text
        return answers

    return run


def by_holdfast(path: Path, prompts: list[str], batch: int, options: argparse.Namespace) -> Any:
    from holdfast import models
    from holdfast.conversation import chat

    model = models.load(path, device=options.device, dtype=options.dtype, batch_size=batch)
    asked = [models.Prompt(chat(("user", text))) for text in prompts]
    decoding = models.Decoding(max_new_tokens=options.new)
    return lambda: [answer[0].text for answer in model.generate(asked, decoding)]


INSPECT = """
import json, sys, time
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.solver import generate
path, batch, new, device = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
prompts = json.load(sys.stdin)
config = GenerateConfig(max_tokens=new, temperature=0.0, max_connections=batch, batch=None)
model = get_model("hf/local", model_path=path, device=device, batch_size=batch, do_sample=False,
                  config=config)
seconds = []
for turn in range(2):
    started = time.perf_counter()
    log = eval(Task(dataset=[Sample(input=p) for p in prompts], solver=generate()), model=model,
               log_dir=sys.argv[5], display="none", max_samples=batch)[0]
    seconds.append(time.perf_counter() - started)
    assert log.status == "success", log.error
print("SECONDS", min(seconds))
"""


def against_inspect(
    path: Path, prompts: list[str], batch: int, holdfast: Any, options: argparse.Namespace
) -> str:
    """Wall seconds of inspect_ai and of Holdfast, one right after the other."""
    if not options.inspect:
        return "not measured"
    started = time.perf_counter()
    holdfast()
    ours = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as logs:
        done = subprocess.run(
            [options.inspect, "-c", INSPECT, str(path), str(batch), str(options.new), options.device, logs],
            input=json.dumps(prompts),
            capture_output=True,
            text=True,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    if not lines:
        raise SystemExit(f"inspect_ai failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    theirs = float(lines[0].split()[1])
    return f"{theirs:.1f} s against {ours:.1f} s: {theirs / ours:.1f} x"


def memory(folder: Path, options: argparse.Namespace) -> None:
    from tiny_models import save_adapter

    base = build(folder, options.size or "300m")
    adapter = save_adapter(folder / "adapter", base)
    peaks = {name: child(name, base, adapter, options) for name in ("nothing", "one", "pair", "two")}
    empty = peaks["nothing"]
    print("| process | peak, MB | of one model | without the libraries' share |")
    print("|---|---|---|---|")
    names = {"one": "one model", "pair": "base and adapter as a pair", "two": "two loads, for comparison"}
    for key, title in names.items():
        ratio = peaks[key] / peaks["one"]
        net = (peaks[key] - empty) / (peaks["one"] - empty)
        print(f"| {title} | {peaks[key]:.0f} | {ratio:.2f} | {net:.2f} |")


def child(kind: str, base: Path, adapter: Path, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--device", options.device, "--child", kind, str(base), str(adapter)]
    if options.dtype:
        command += ["--dtype", options.dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def peak_of(kind: str, base: str, adapter: str, device: str, dtype: str | None) -> float:
    """Peak megabytes of this process (of the GPU where there is one) after doing `kind`."""
    import peft  # noqa: F401 - the libraries' share is the same in every process
    import torch
    import transformers

    with contextlib.suppress(ImportError):
        import bitsandbytes  # noqa: F401 - peft imports it with the first adapter, where it is installed

    from holdfast import models
    from holdfast.conversation import chat

    assert transformers.AutoModelForCausalLM
    prompts = [models.Prompt(chat(("user", text))) for text in texts(16)]
    decoding = models.Decoding(max_new_tokens=4)
    options: dict[str, Any] = {"device": device, "dtype": dtype, "batch_size": 8}
    if kind == "one":
        arms = [models.load(base, **options)]
    elif kind == "pair":
        arms = list(models.load_pair(base, adapter, **options))
    elif kind == "two":
        arms = [models.load(base, **options), models.load(adapter, **options)]
    else:
        arms = []
    for arm in arms:
        arm.generate(prompts, decoding)
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
