"""One guarded fine-tuning run: TRL's `SFTTrainer` with guards, resumable after `kill -9`."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from holdfast.errors import InputError, RunError
from holdfast.files import cannot_write, digest_file, digest_value, folder_lock
from holdfast.models.base import Progress
from holdfast.train import checkpoints
from holdfast.train.config import TrainConfig
from holdfast.train.guards import GuardContext, build
from holdfast.train.loading import (
    find_base,
    load_base,
    load_tokenizer,
    quick_digest,
    quiet_bars,
    use_bf16,
)
from holdfast.train.mixin import attach
from holdfast.train.probe import SafetyProbe
from holdfast.train.record import TrainRecord
from holdfast.train.rows import Tokenised, read_rows, safety_rows, tokenise
from holdfast.train.trainer import build_trainer

_CONTEXT_LIMIT = 2048


def train(
    data: Path,
    *,
    base: str | Path,
    out: Path,
    config: TrainConfig | None = None,
    safety: Path | None = None,
    progress: Progress | None = None,
) -> TrainRecord:
    """Fine-tune `base` on `data`; see `holdfast.train.train`."""
    config = config or TrainConfig()
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Under torchrun the first process holds the folder for all of them.
    with folder_lock(out) if checkpoints.is_first() else contextlib.nullcontext():
        folder = find_base(base)
        key = _run_key(data, folder, config, safety)
        done = out / "train.json"
        if done.exists() and (record := TrainRecord.load(done)).key == key and Path(record.output).exists():
            return record
        try:
            return _train(data, folder, out, config, safety, key, progress)
        except (OSError, RuntimeError, SafetensorError) as error:
            if (known := _explained(error, out)) is None:
                raise
            raise known from error


def _explained(error: Exception, out: Path) -> RunError | None:
    """A failure of disk or memory as an error with a fix; None for any other."""
    if isinstance(error, OSError):
        return cannot_write(Path(error.filename or out), error)
    if isinstance(error, torch.OutOfMemoryError):
        return RunError(
            "out of memory", fix="a smaller batch_size with more gradient_accumulation, or max_length"
        )
    # safetensors and torch.save wrap the operating system's error in their own.
    if isinstance(error, SafetensorError) or "PytorchStreamWriter" in str(error):
        return cannot_write(out, OSError(str(error).splitlines()[0]))
    return None


def _train(
    data: Path,
    base: Path,
    out: Path,
    config: TrainConfig,
    safety: Path | None,
    key: str,
    progress: Progress | None,
) -> TrainRecord:
    used = config.effective()
    tokenizer = load_tokenizer(base, used.chat_template)
    model = load_base(base, used)
    limit = used.max_length or min(_context(model), _CONTEXT_LIMIT)
    used = used.model_copy(update={"max_length": limit})
    rows = tokenise(read_rows(data), tokenizer, limit, drop_system=used.drop_system)
    if not rows.rows:
        raise InputError("no row has a trainable token", path=data, fix="raise max_length or check the roles")
    guard_rows = safety_rows(safety, tokenizer, limit) if safety else []
    folder = out / "checkpoints"
    resume = checkpoints.prepare(folder, key)
    trainer = build_trainer(model, tokenizer, rows.rows, folder, used)
    context = GuardContext(
        safety=guard_rows,
        folder=out / "reference",
        seed=used.seed,
        pad=tokenizer.pad_token_id,
        key=_reference_key(data, base, used),
        base=base,
        tokenizer=tokenizer,
    )
    attach(trainer, build(used.guards), context)
    probe = SafetyProbe(trainer, context, used.probe) if used.probe else None
    clock = checkpoints.Clock(folder, key, progress)
    for callback in filter(None, (probe, clock)):
        trainer.add_callback(callback)
    with quiet_bars():
        clock.begin(resume)
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        clock.end()
        record = _record(trainer, clock, probe, rows, len(guard_rows), base, out, config, key)
        _save(trainer, base, Path(record.output))
    if trainer.is_world_process_zero():
        record.save(out / "train.json")
        shutil.rmtree(folder, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    return record


def _context(model: Any) -> int:
    return int(getattr(model.config, "max_position_embeddings", None) or _CONTEXT_LIMIT)


def _run_key(data: Path, base: Path, config: TrainConfig, safety: Path | None) -> str:
    for path in (data, safety, config.chat_template):
        if path is not None and not path.is_file():
            raise InputError("no such file", path=path)
    files = [None if path is None else digest_file(path) for path in (data, safety, config.chat_template)]
    folders = [quick_digest(path) for path in config.checkpoints]
    return digest_value([quick_digest(base), files, folders, config.model_dump(), versions()])


def _reference_key(data: Path, base: Path, used: TrainConfig) -> str:
    """Digest of all that the base's values on the rows depend on."""
    template = None if used.chat_template is None else digest_file(used.chat_template)
    how = [used.max_length, used.drop_system, used.quantise, use_bf16(used), template]
    return digest_value([quick_digest(base), digest_file(data), *how])


def versions() -> dict[str, str]:
    """Versions of what computes the result."""
    from importlib.metadata import version

    names = ("holdfast", "torch", "transformers", "trl", "peft", "accelerate")
    return {name: version(name) for name in names} | {"python": sys.version.split()[0]}


def _record(
    trainer: Any,
    clock: checkpoints.Clock,
    probe: SafetyProbe | None,
    rows: Tokenised,
    safety_rows: int,
    base: Path,
    out: Path,
    config: TrainConfig,
    key: str,
) -> TrainRecord:
    history = trainer.state.log_history
    return TrainRecord(
        output=str(out / ("adapter" if config.method == "lora" else "model")),
        base=str(base),
        key=key,
        method=config.method,
        seed=config.seed,
        rows=len(rows.rows),
        tokens=sum(label != -100 for row in rows.rows for label in row.labels[1:]),
        truncated=rows.truncated,
        dropped=rows.dropped,
        safety_rows=safety_rows,
        steps=trainer.state.global_step,
        loss_curve=[point for point in history if "loss" in point],
        probe_log=probe.history if probe else [],
        stopped=probe.stopped if probe else None,
        resumed_from=clock.resumed_from,
        seconds=clock.seconds,
        peak_memory_mb=_peak_memory_mb(),
        config=config.model_dump(mode="json"),
        versions=versions(),
    )


def _peak_memory_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _save(trainer: Any, base: Path, target: Path) -> None:
    """Write the adapter or checkpoint beside its final name, then rename.

    The tokenizer is the base's own, with its template, whatever template the training used.
    """
    partial = target.with_name(f".{target.name}.partial")
    # Every process takes part: sharded weights are gathered, only the first writes.
    trainer.save_model(str(partial))
    if not trainer.is_world_process_zero():
        return
    (partial / "training_args.bin").unlink(missing_ok=True)
    load_tokenizer(base).save_pretrained(partial)
    for path in partial.iterdir():
        path.chmod(0o644)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
