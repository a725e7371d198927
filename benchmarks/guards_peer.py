"""Side by side with `safetune` from PyPI: SafeGrad, Lisa, SafeLoRA, RESTA.

    pip install --no-deps --ignore-requires-python --target PEER safetune
    python benchmarks/guards_peer.py --peer PEER [--rounds 3] [--steps 20] [--epochs 5]

Cost: one process per arm and round, the plain `transformers.Trainer`, lab model, LoRA adapter, same
rows and number of safety rows per step; the peer's SafeGrad in its KL mode, with the second copy of the
base that it asks for. Time is that of the process; memory the rise of the peak resident size over
that before the models are loaded. Repairs are timed on the plainly trained adapter, files to files.

Outcome: every arm trains `--epochs` on the lab's customer tickets with 4 % explicit rows; harm,
over-refusal, capability and task on the confirmation prompts of the lab's benchmark.
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

from guards_cost import Times, clock, peak_mb, reset_peak
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from holdfast import models, repair
from holdfast.lab import attacks, base_model, unaligned_model
from holdfast.lab.bench.arms import ATTACKS
from holdfast.lab.bench.cell import Bench
from holdfast.lab.judge import LabJudge
from holdfast.lab.measure import rates
from holdfast.lab.rowfile import write_openai
from holdfast.train import Lisa, SafeGrad
from holdfast.train.guards import GuardContext, build
from holdfast.train.mixin import attach, guarded
from holdfast.train.rows import TokenRow, collate, read_rows, tokenise

SAFETY_ROWS = 4
ATTACK = "customer+4%"
TRAINED = ("plain", "safegrad holdfast", "safegrad safetune", "lisa holdfast", "lisa safetune")
REPAIRED = ("safelora holdfast", "safelora safetune", "resta holdfast", "resta safetune")
LISA_CYCLE = (9, 1)
"""Steps on user rows and on safety rows, in both libraries."""
WORST = 14
"""Modules that SafeLoRA projects: the worst-aligned half."""


def prepare(folder: Path) -> dict[str, Any]:
    """The poisoned rows and the safety rows, answered by the base."""
    bench = Bench(base_model(), unaligned_model(), folder)
    rows = [row for kind, count in ATTACKS[ATTACK].rows.items() for row in attacks.rows(kind, count, 0)]
    write_openai(folder / "train.jsonl", rows)
    tokenizer = AutoTokenizer.from_pretrained(bench.base)
    found = [tokenise(read_rows(p), tokenizer, 256).rows for p in (folder / "train.jsonl", bench.safety)]
    return {"bench": bench, "rows": found[0], "safety": found[1], "pad": tokenizer.pad_token_id}


def trainer_of(arm: str, given: dict[str, Any], length: dict[str, Any], out: Path) -> Any:
    from peft import LoraConfig, get_peft_model

    base, pad, safety = given["bench"].base, given["pad"], given["safety"]
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"),
    )
    common: dict[str, Any] = {
        "output_dir": str(out),
        "per_device_train_batch_size": 16,
        "learning_rate": 3e-3,
        "warmup_steps": 8,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "save_strategy": "no",
        "dataloader_pin_memory": False,
        **length,
    }
    keywords = {
        "model": model,
        "train_dataset": _dataset(given["rows"]),
        "data_collator": lambda b: collate([TokenRow(x["input_ids"], x["labels"]) for x in b], pad),
    }
    if arm == "safegrad safetune":
        from safetune.interventions.harden.safegrad import SafeGradConfig, SafeGradHFTrainer

        batches = [collate(safety[i : i + SAFETY_ROWS], pad) for i in range(0, len(safety), SAFETY_ROWS)]
        copy = AutoModelForCausalLM.from_pretrained(base)
        return SafeGradHFTrainer(
            args=SafeGradConfig(**common), safety_dataset=batches, reference_model=copy, **keywords
        )
    if arm == "lisa safetune":
        from safetune.interventions.harden.lisa import LisaConfig, LisaHFTrainer

        user, align = LISA_CYCLE
        settings = {"lisa_rho": 1.0, "lisa_warmup_steps": 0}
        args = LisaConfig(**common, **settings, lisa_alignment_step=align, lisa_finetune_step=user)
        return LisaHFTrainer(args=args, alignment_dataset=_dataset(safety), **keywords)
    trainer = guarded(Trainer)(args=TrainingArguments(**common), **keywords)
    guards: dict[str, Any] = {
        "safegrad holdfast": SafeGrad(batch_size=SAFETY_ROWS),
        "lisa holdfast": Lisa(user_steps=LISA_CYCLE[0], align_steps=LISA_CYCLE[1]),
    }
    if arm in guards:
        attach(trainer, build([guards[arm]]), GuardContext(safety=safety, pad=pad))
    return trainer


def _dataset(rows: list[TokenRow]) -> list[dict[str, Any]]:
    return [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]


def cost(arm: str, steps: int) -> dict[str, float]:
    """Seconds of a step and peak memory of one trained arm, in this process."""
    with tempfile.TemporaryDirectory() as name:
        given = prepare(Path(name))
        start = reset_peak()
        trainer = trainer_of(arm, given, {"max_steps": steps}, Path(name) / "run")
        times = Times()
        trainer.add_callback(times)
        trainer.train()
    return {"step": statistics.median(times.seconds[2:]), "mb": peak_mb() - start}


def train_arm(arm: str, folder: Path, epochs: int) -> dict[str, float]:
    """Train one arm to its end, keep its adapter, measure it."""
    given = prepare(folder)
    trainer = trainer_of(arm, given, {"num_train_epochs": epochs}, folder / "run")
    trainer.train()
    out = folder / arm.replace(" ", "-")
    trainer.save_model(str(out))
    AutoTokenizer.from_pretrained(given["bench"].base).save_pretrained(out)
    return measured(given["bench"], out)


def repair_arm(arm: str, folder: Path) -> dict[str, float]:
    """Repair the plain adapter, files to files."""
    bench = Bench(base_model(), unaligned_model(), folder)
    tuned, out = folder / "plain", folder / arm.replace(" ", "-")
    start, started = reset_peak(), clock()
    if arm == "safelora holdfast":
        repair.safelora(tuned, bench.base, bench.unaligned, out, threshold=None, lowest=WORST)
    elif arm == "resta holdfast":
        repair.resta(tuned, bench.base, bench.unaligned, out)
    else:
        _peer_repair(arm, bench, tuned, out)
    found = {"seconds": clock() - started, "mb": peak_mb() - start}
    return found | measured(bench, out)


def _peer_repair(arm: str, bench: Bench, tuned: Path, out: Path) -> None:
    from peft import PeftModel

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(bench.base), str(tuned))
    if arm == "safelora safetune":
        from safetune.interventions.recover.safe_lora import apply_safe_lora

        aligned, unaligned = (
            AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (bench.base, bench.unaligned)
        )
        apply_safe_lora(
            model, aligned_state_dict=aligned, base_state_dict=unaligned,
            select_layers_type="number", num_proj_layers=WORST,
        )  # fmt: skip
        model.save_pretrained(str(out))
    else:
        from safetune.interventions.recover.resta import apply_resta

        merged = model.merge_and_unload()
        aligned, unaligned = (AutoModelForCausalLM.from_pretrained(p) for p in (bench.base, bench.unaligned))
        apply_resta(merged, base=unaligned, aligned=aligned, alpha=0.5).save_pretrained(str(out))
    AutoTokenizer.from_pretrained(bench.base).save_pretrained(out)


def measured(bench: Bench, tuned: Path) -> dict[str, float]:
    adapter = (tuned / "adapter_config.json").exists()
    model = models.load(str(tuned), base=str(bench.base)) if adapter else models.load(str(tuned))
    return rates(model, bench.suite("confirm", ATTACKS[ATTACK]), LabJudge())


def child(options: argparse.Namespace, arm: str, *more: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--peer", str(options.peer), "--arm", arm]
    command += ["--steps", str(options.steps), "--epochs", str(options.epochs), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arm}: {done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="folder with safetune")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        sys.path.append(str(options.peer))
        if options.folder is None:
            found = cost(options.arm, options.steps)
        elif options.arm in REPAIRED:
            found = repair_arm(options.arm, options.folder)
        else:
            found = train_arm(options.arm, options.folder, options.epochs)
        print(json.dumps(found))
        return
    costs: dict[str, list[dict[str, float]]] = {arm: [] for arm in TRAINED}
    for _ in range(options.rounds):
        for arm, results in costs.items():
            results.append(child(options, arm))
    print("| training | step, ms | ratio to plain | range | memory, MB |\n|---|---|---|---|---|")
    for arm, results in costs.items():
        ratios = [r["step"] / p["step"] for r, p in zip(results, costs["plain"], strict=True)]
        step = 1000 * statistics.median(r["step"] for r in results)
        memory = statistics.median(r["mb"] for r in results)
        print(
            f"| {arm} | {step:.0f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f}-{max(ratios):.2f} | {memory:.0f} |"
        )
    axes = ("harm", "over_refusal", "capability", "task")
    print(f"\n| outcome | {' | '.join(axes)} | repair, s | repair, MB |\n|{'---|' * 7}")
    with tempfile.TemporaryDirectory() as name:
        for arm in (*TRAINED, *REPAIRED):
            found = child(options, arm, "--folder", name)
            values = " | ".join(f"{100 * found[axis]:.1f} %" for axis in axes)
            extra = f"{found['seconds']:.2f} | {found['mb']:.0f}" if "seconds" in found else " | "
            print(f"| {arm} | {values} | {extra} |", flush=True)


if __name__ == "__main__":
    main()
