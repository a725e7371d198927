"""SafeGrad side by side with `safetune` from PyPI: step time and memory, one process per arm and round.

    pip install --no-deps --ignore-requires-python --target PEER safetune
    python benchmarks/guards_peer.py --peer PEER [--rounds 3] [--steps 20]

Both on the same plain `transformers.Trainer`, lab model, LoRA adapter, training rows and number of
safety rows per step; the peer in its KL mode, with the second copy of the base that it asks for. Time is
that of the process; memory the rise of the peak resident size over that before the models are loaded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from guards_cost import Times, peak_mb, prepare, reset_peak
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from holdfast.train import SafeGrad
from holdfast.train.guards import GuardContext, build
from holdfast.train.mixin import attach, guarded
from holdfast.train.rows import IGNORE, TokenRow, collate

SAFETY_ROWS = 4


def trainer_of(arm: str, given: dict[str, Any], steps: int, out: Path) -> Any:
    from peft import LoraConfig, get_peft_model

    pad = AutoTokenizer.from_pretrained(given["base"]).pad_token_id
    base = AutoModelForCausalLM.from_pretrained(given["base"])
    model = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    common: dict[str, Any] = {
        "output_dir": str(out),
        "max_steps": steps,
        "per_device_train_batch_size": given["batch"],
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "save_strategy": "no",
        "dataloader_pin_memory": False,
    }
    keywords = {
        "model": model,
        "train_dataset": [{"input_ids": r.input_ids, "labels": r.labels} for r in given["rows"]],
        "data_collator": lambda b: collate([TokenRow(x["input_ids"], x["labels"]) for x in b], pad),
    }
    if arm == "safetune":
        from safetune.interventions.harden.safegrad import SafeGradConfig, SafeGradHFTrainer

        rows = given["safety"]
        batches = [collate(rows[i : i + SAFETY_ROWS], pad) for i in range(0, len(rows), SAFETY_ROWS)]
        copy = AutoModelForCausalLM.from_pretrained(given["base"])
        return SafeGradHFTrainer(
            args=SafeGradConfig(**common), safety_dataset=batches, reference_model=copy, **keywords
        )
    trainer = guarded(Trainer)(args=TrainingArguments(**common), **keywords)
    if arm == "holdfast":
        guards = build([SafeGrad(batch_size=SAFETY_ROWS)])
        attach(trainer, guards, GuardContext(safety=given["safety"], pad=pad))
    return trainer


def one(arm: str, steps: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        given = prepare(Path(name), "lab")
        assert all(any(label != IGNORE for label in row.labels) for row in given["safety"])
        start = reset_peak()
        trainer = trainer_of(arm, given, steps, Path(name) / "run")
        times = Times()
        trainer.add_callback(times)
        trainer.train()
    return {"step": statistics.median(times.seconds[2:]), "mb": peak_mb() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="folder with safetune")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        sys.path.append(str(options.peer))
        print(json.dumps(one(options.arm, options.steps)))
        return
    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ("plain", "holdfast", "safetune")}
    for _ in range(options.rounds):
        for arm, results in found.items():
            command = [sys.executable, __file__, "--peer", str(options.peer), "--arm", arm]
            command += ["--steps", str(options.steps)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    print("| SafeGrad | step, ms | ratio to plain | range | memory, MB |\n|---|---|---|---|---|")
    for arm, results in found.items():
        ratios = [r["step"] / p["step"] for r, p in zip(results, found["plain"], strict=True)]
        step = 1000 * statistics.median(r["step"] for r in results)
        memory = statistics.median(r["mb"] for r in results)
        print(
            f"| {arm} | {step:.0f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f}-{max(ratios):.2f} | {memory:.0f} |"
        )


if __name__ == "__main__":
    main()
