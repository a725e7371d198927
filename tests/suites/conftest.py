"""Where the evaluation data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("HOLDFAST_DATA") or root / "../shared/data")
    if not folder.is_dir():
        pytest.skip(f"no evaluation data in {folder}; set HOLDFAST_DATA")
    return folder
