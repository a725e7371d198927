"""The base's log-probabilities of the training labels, found again by the content of a row.

Content, not row number, is the key, so that any collator, order, padding or packing works.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from holdfast.errors import InputError
from holdfast.files import atomic_writer, read_json, write_json
from holdfast.train.guards.base import GuardContext
from holdfast.train.guards.tools import label_logps, need_base, reference
from holdfast.train.rows import IGNORE

_BATCH = 16


class LabelStore:
    """Flat log-probabilities and where each row's begin."""

    def __init__(self, values: np.ndarray[Any, np.dtype[np.float32]], starts: dict[str, int]) -> None:
        self._values = values
        self._starts = starts

    @classmethod
    def open(cls, trainer: Any, context: GuardContext, guard: str) -> LabelStore:
        """Map the stored values of this base and data, or compute and store them."""
        folder = context.folder
        if folder is not None and (folder / "labels.json").exists():
            index = read_json(folder / "labels.json")
            if index["key"] == context.key:
                return cls(np.load(folder / "labels.npy", mmap_mode="r"), index["starts"])
        need_base(trainer, guard)
        values, starts = _compute(trainer)
        if folder is None:
            return cls(values, starts)
        if trainer.is_world_process_zero():
            _save(folder, values, starts, context.key)
        trainer.accelerator.wait_for_everyone()
        return cls(np.load(folder / "labels.npy", mmap_mode="r"), starts)

    def lookup(self, inputs: Mapping[str, Any]) -> torch.Tensor:
        """The base's label log-probabilities of a batch, shape (rows, length - 1); 0 = no label.

        Raises:
            InputError: A row was not in the data when the base's values were computed.
        """
        labels = inputs["labels"]
        found = torch.zeros((labels.shape[0], labels.shape[1] - 1), dtype=torch.float32)
        for row, begin, end, key in segments(inputs):
            start = self._starts.get(key)
            if start is None:
                raise InputError(
                    "a training row changed since the base was asked about it",
                    fix="train on a fixed data set, or start over in a fresh folder",
                )
            mask = (labels[row, begin + 1 : end] != IGNORE).cpu()
            count = int(mask.sum())
            values = torch.from_numpy(self._values[start : start + count].copy())
            found[row, begin : end - 1][mask] = values
        return found


def segments(inputs: Mapping[str, Any]) -> Iterator[tuple[int, int, int, str]]:
    """The original rows inside a batch: (batch row, begin, end, content key).

    Padded batches have an attention mask; packed ones have position ids that start anew.
    """
    ids, labels = inputs["input_ids"].cpu(), inputs["labels"].cpu()
    mask = inputs.get("attention_mask")
    positions = inputs.get("position_ids")
    for row in range(ids.shape[0]):
        bounds = [0, ids.shape[1]]
        if mask is not None:
            real = mask[row].cpu().nonzero().flatten()
            bounds = [int(real[0]), int(real[-1]) + 1] if len(real) else [0, 0]
        if positions is not None:
            fresh = (positions[row].cpu() == 0).nonzero().flatten().tolist()
            bounds = sorted({*bounds, *(f for f in fresh if bounds[0] < f < bounds[1])})
        for begin, end in itertools.pairwise(bounds):
            if (labels[row, begin + 1 : end] != IGNORE).any():
                yield row, begin, end, _key(ids[row, begin:end], labels[row, begin + 1 : end])


def _key(ids: torch.Tensor, labels: torch.Tensor) -> str:
    digest = hashlib.blake2b(ids.contiguous().numpy().tobytes(), digest_size=16)
    digest.update(labels.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _compute(trainer: Any) -> tuple[np.ndarray[Any, np.dtype[np.float32]], dict[str, int]]:
    dataset = trainer.train_dataset
    if not hasattr(dataset, "__len__"):
        raise InputError("this guard needs a data set of known length, not a stream")
    # Never more than training itself holds at once: without padding they become one long sequence.
    size = min(_BATCH, trainer.args.per_device_train_batch_size)
    order = sorted(range(len(dataset)), key=lambda i: len(dataset[i]["input_ids"]))
    values: list[np.ndarray[Any, np.dtype[np.float32]]] = []
    starts: dict[str, int] = {}
    total = 0
    model = trainer.model
    training = model.training
    model.eval()
    with torch.no_grad(), reference(trainer), trainer.compute_loss_context_manager():
        for begin in range(0, len(order), size):
            batch = trainer.data_collator([dataset[i] for i in order[begin : begin + size]])
            batch = {k: v.to(trainer.args.device) for k, v in batch.items()}
            logps = label_logps(trainer, model, batch).float().cpu()
            for row, first, end, key in segments(batch):
                if key in starts:
                    continue
                mask = batch["labels"][row, first + 1 : end].cpu() != IGNORE
                values.append(logps[row, first : end - 1][mask].numpy())
                starts[key] = total
                total += len(values[-1])
    model.train(training)
    return np.concatenate(values), starts


def _save(
    folder: Path, values: np.ndarray[Any, np.dtype[np.float32]], starts: dict[str, int], key: str
) -> None:
    with atomic_writer(folder / "labels.npy") as handle:
        np.save(handle, values)
    write_json(folder / "labels.json", {"key": key, "starts": starts})
