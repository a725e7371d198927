"""Build the trainer: TRL's `SFTTrainer` with the guard mixin, over rows that are tokenised already."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from holdfast.errors import InputError
from holdfast.train.config import TrainConfig
from holdfast.train.loading import use_bf16
from holdfast.train.mixin import guarded
from holdfast.train.packing import check_kept_apart, flatten, pack
from holdfast.train.rows import TokenRow, collate


def build_trainer(model: Any, tokenizer: Any, rows: list[TokenRow], folder: Path, config: TrainConfig) -> Any:
    """A guarded `SFTTrainer` over token rows, without guards yet."""
    from datasets import Dataset
    from transformers import PrinterCallback, ProgressCallback
    from trl.trainer.sft_trainer import SFTTrainer

    flat = config.packing or config.padding_free
    items = _items(rows, config)
    pad = tokenizer.pad_token_id

    def collator(batch: list[dict[str, Any]]) -> dict[str, Any]:
        members = [row for item in batch for row in _rows_of(item)]
        return flatten(members) if flat else collate(members, pad)

    arguments = _arguments(folder, config, _total_steps(len(items), config))
    _check_loggers(config)
    trainer = guarded(SFTTrainer)(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(items),
        processing_class=tokenizer,
        data_collator=collator,
        peft_config=_peft_config(model, config),
    )
    if flat:
        check_kept_apart(trainer.model, rows)
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    return trainer


def _items(rows: list[TokenRow], config: TrainConfig) -> list[dict[str, list[int]]]:
    """What the data set holds: one entry per row, or per packed sequence with its rows' lengths."""
    groups = [[row] for row in rows]
    if config.packing:
        lengths = [len(row.input_ids) for row in rows]
        groups = [[rows[i] for i in members] for members in pack(lengths, config.max_length or max(lengths))]
    return [
        {
            "input_ids": [token for row in group for token in row.input_ids],
            "labels": [label for row in group for label in row.labels],
            "lengths": [len(row.input_ids) for row in group],
        }
        for group in groups
    ]


def _rows_of(item: dict[str, list[int]]) -> Iterator[TokenRow]:
    begin = 0
    for length in item["lengths"]:
        end = begin + length
        yield TokenRow(tuple(item["input_ids"][begin:end]), tuple(item["labels"][begin:end]))
        begin = end


def _arguments(folder: Path, config: TrainConfig, steps: int) -> Any:
    from trl.trainer.sft_config import SFTConfig

    gpu = torch.cuda.is_available()
    checkpointing = gpu if config.gradient_checkpointing is None else config.gradient_checkpointing
    # Newer transformers renames gradient_checkpointing; take the name that this version has.
    renamed = "activation_checkpointing" in SFTConfig.__dataclass_fields__
    values: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.scheduler,
        "warmup_steps": round(config.warmup_ratio * steps),
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "adam_beta1": config.adam_beta1,
        "adam_beta2": config.adam_beta2,
        "seed": config.seed,
        "data_seed": config.seed,
        "bf16": use_bf16(config),
        "use_cpu": not gpu,
        "activation_checkpointing" if renamed else "gradient_checkpointing": checkpointing,
        "dataloader_pin_memory": gpu,
        "logging_steps": config.logging_steps or max(1, steps // 100),
        "logging_nan_inf_filter": False,
        "save_steps": config.save_steps or max(10, steps // 10),
        "save_total_limit": 2,
        "report_to": list(config.report_to) or "none",
        "disable_tqdm": True,
        "log_level": "error",
        "max_length": None,
        "packing": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
    }
    if not config.shuffle:
        values["train_sampling_strategy"] = "sequential"
    return SFTConfig(**values)


def _check_loggers(config: TrainConfig) -> None:
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    for name in config.report_to:
        try:
            for callback in get_reporting_integration_callbacks([name]):  # type: ignore[no-untyped-call]
                callback()
        except (ValueError, RuntimeError, ImportError) as error:
            raise InputError(
                f"cannot report to '{name}': {str(error).splitlines()[0]}",
                fix="install that logger, or take it out of report_to",
            ) from None


def _peft_config(model: Any, config: TrainConfig) -> Any:
    from peft import LoraConfig

    if config.method == "full":
        return None
    return LoraConfig(
        r=config.r,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # PEFT only multiplies by it
        lora_dropout=config.dropout,
        target_modules=_targets(model, config.target_modules),
        task_type="CAUSAL_LM",
    )


def _targets(model: Any, wanted: str | tuple[str, ...]) -> str | list[str]:
    """`all-linear`, or the names of modules, each of which the model must have."""
    if wanted == "all-linear":
        return wanted
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = sorted(set(names) - {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()})
    if unknown:
        raise InputError(
            f"no module of the base is named {', '.join(unknown)}",
            fix="target_modules: all-linear, or names such as q_proj, v_proj",
        )
    return names


def _total_steps(rows: int, config: TrainConfig) -> int:
    if config.max_steps is not None:
        return config.max_steps
    world = int(os.environ.get("WORLD_SIZE", "1"))
    per_epoch = math.ceil(math.ceil(rows / (config.batch_size * world)) / config.gradient_accumulation)
    return max(1, math.ceil(per_epoch * config.epochs))
