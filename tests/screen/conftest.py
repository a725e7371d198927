"""A package on the path that registers rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from screen.screen_rows import PLUGIN


@pytest.fixture
def plugin(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package on the path that registers four rules by entry point."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "zz_rules.py").write_text(PLUGIN)
    info = folder / "zz_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zz-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[holdfast.screen_rules]\nseven = zz_rules:NoSevens\nslow = zz_rules:Slow\nlines = zz_rules:Lines\n"
        "again = zz_rules:Again\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield folder
    sys.modules.pop("zz_rules", None)
