"""Checkpoints that can be trusted after `kill -9`: only complete ones of the same run are resumed."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from holdfast.files import read_json, write_json
from holdfast.models.base import Progress

_MARK = "complete.json"


def prepare(folder: Path, key: str) -> Path | None:
    """The newest complete checkpoint of the run `key`; every other checkpoint is deleted."""
    best: tuple[int, Path] | None = None
    for path in folder.glob("checkpoint-*"):
        mark = path / _MARK
        step = int(path.name.rsplit("-", 1)[-1]) if path.name.rsplit("-", 1)[-1].isdigit() else -1
        if not mark.exists() or read_json(mark)["key"] != key:
            if is_first():
                shutil.rmtree(path, ignore_errors=True)
        elif best is None or step > best[0]:
            best = (step, path)
    return best[1] if best else None


def is_first() -> bool:
    """Whether this is the first process of the run (or the only one)."""
    return int(os.environ.get("RANK", "0")) == 0


class Clock(TrainerCallback):
    """Marks checkpoints as complete, keeps the time over all resumes, reports progress.

    It must be the last callback, so that its mark is written after all else.
    """

    def __init__(self, folder: Path, key: str, progress: Progress | None = None) -> None:
        self.folder = folder
        self.key = key
        self.progress = progress
        self.seconds = 0.0
        self.resumed_from: list[int] = []
        self._started = time.perf_counter()

    def begin(self, resume: Path | None) -> None:
        """Start the clock, from what the checkpoint says if there is one."""
        self._started = time.perf_counter()
        if resume is not None:
            mark = read_json(resume / _MARK)
            self.seconds = mark["seconds"]
            self.resumed_from = [*mark["resumed_from"], int(resume.name.rsplit("-", 1)[-1])]
            if self.progress:
                self.progress(self.resumed_from[-1])

    def end(self) -> None:
        """Stop the clock."""
        self.seconds += time.perf_counter() - self._started

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report one step."""
        if self.progress:
            self.progress(1)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark the checkpoint that was just written."""
        if state.is_world_process_zero:
            seconds = self.seconds + time.perf_counter() - self._started
            mark = {"key": self.key, "seconds": seconds, "resumed_from": self.resumed_from}
            write_json(self.folder / f"checkpoint-{state.global_step}" / _MARK, mark)
