"""Stages of a run: skipped when nothing they read has changed, resumed when they were killed.

A stage owns one folder. `stage.json` is written when it starts and names its inputs;
`manifest.json` is written when it ends and names its outputs with their hashes. So a folder
is in one of three states, told apart by looking: finished (manifest for the same inputs and
the outputs as they were), to be resumed (same inputs, no manifest), or out of date.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.errors import InputError
from holdfast.files import cannot_write, digest_file, digest_value, read_json, write_json

_STARTED = "stage.json"
_MANIFEST = "manifest.json"
_SCRATCH = ("checkpoints", "cache", "scratch")  # what a stage keeps for resuming; not an output


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished stage.

    Attributes:
        folder: Where its outputs are.
        outputs: SHA-256 of each output, by name relative to `folder`.
        seconds: Time of the run that produced them, over all its attempts.
        skipped: True if nothing had to be done this time.
    """

    folder: Path
    outputs: Mapping[str, str]
    seconds: float
    skipped: bool

    @property
    def digest(self) -> str:
        """One hash over all outputs; the natural input of the next stage."""
        return digest_value(dict(self.outputs))


def run_stage(folder: Path, inputs: Mapping[str, Any], work: Callable[[Path], None]) -> Finished:
    """Run `work(folder)` unless it already ran to the end with the same inputs.

    Args:
        folder: The stage's own folder; created, and emptied when its inputs have changed.
        inputs: Everything the outputs depend on, as plain values and digests.
        work: Writes the outputs into the folder; must be able to go on from its own partial
            outputs, since it is called again in the same folder after a kill.

    Raises:
        RunError: The folder cannot be written.
    """
    key = digest_value({"inputs": dict(inputs), "version": __version__})
    finished = _finished(folder, key)
    if finished is not None:
        return finished
    spent = _prepare(folder, key, inputs)
    started = time.monotonic()
    try:
        work(folder)
    finally:
        spent += time.monotonic() - started
        write_json(folder / _STARTED, {"key": key, "inputs": dict(inputs), "seconds": spent})
    # What a later run reads from the manifest must equal what this one says.
    spent = round(spent, 3)
    outputs = {name: digest_file(folder / name) for name in _outputs(folder)}
    manifest = {
        "schema": 1,
        "key": key,
        "inputs": dict(inputs),
        "outputs": outputs,
        "stamps": {name: _stamp(folder / name) for name in outputs},
        "version": __version__,
        "seconds": spent,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_json(folder / _MANIFEST, manifest)
    return Finished(folder, outputs, spent, skipped=False)


def _finished(folder: Path, key: str) -> Finished | None:
    manifest = _read(folder / _MANIFEST)
    if manifest.get("key") != key:
        return None
    for name, digest in manifest["outputs"].items():
        path = folder / name
        if not path.is_file():
            return None
        # Hashing again is only needed when size or time say that the file may have changed.
        if manifest["stamps"].get(name) != _stamp(path) and digest_file(path) != digest:
            return None
    return Finished(folder, manifest["outputs"], manifest["seconds"], skipped=True)


def _prepare(folder: Path, key: str, inputs: Mapping[str, Any]) -> float:
    """Make the folder ready and return the seconds that earlier attempts have spent."""
    started = _read(folder / _STARTED)
    resume = started.get("key") == key and not (folder / _MANIFEST).exists()
    try:
        if not resume and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    if not resume:
        write_json(folder / _STARTED, {"key": key, "inputs": dict(inputs), "seconds": 0.0})
    return float(started.get("seconds", 0.0)) if resume else 0.0


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except InputError:
        return {}
    return value if isinstance(value, dict) else {}


def _outputs(folder: Path) -> list[str]:
    names = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return sorted(
        name.as_posix()
        for name in names
        if name.parts[0] not in (*_SCRATCH, _STARTED, _MANIFEST) and not name.name.startswith(".")
    )


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
