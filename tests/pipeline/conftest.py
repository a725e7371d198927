from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mini import write_mini


@pytest.fixture(scope="session")
def finished_mini(shared_folder: Path, holdfast: Callable) -> Path:
    """The mini project, run once to its decision for all workers; copy it to change it."""
    project = shared_folder / "finished-mini"
    with (shared_folder / "finished-mini.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (project / "runs" / "mini" / "decision.json").exists():
            shutil.rmtree(project, ignore_errors=True)
            result = holdfast("run", write_mini(project))
            assert result.returncode == 0, result.stderr
    return project


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """The mini project, not yet run."""
    return write_mini(tmp_path / "mini")


@pytest.fixture
def finished(tmp_path: Path, finished_mini: Path) -> Path:
    """A copy of the finished mini project that a test may change."""
    return shutil.copytree(finished_mini, tmp_path / "mini")
