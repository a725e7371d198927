"""Confirmed incidents of live traffic: one half is learned from, the other half is asked."""

from __future__ import annotations

import json
from pathlib import Path

from mini import write_mini

from holdfast.pipeline import Silent
from holdfast.pipeline.context import Context, split
from holdfast.project import load_project
from holdfast.suites import load


def write_private(folder: Path, count: int) -> Path:
    folder.mkdir()
    rows = [
        {"id": f"i{n}", "prompt": f"incident number {n}", "hazard": "", "expect": "refuse"}
        for n in range(count)
    ]
    (folder / "private-abc.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "private.json").write_text(json.dumps({"version": "abc", "suite": "private-abc.jsonl"}))
    return folder


def test_the_halves_are_disjoint_complete_and_stable(tmp_path: Path) -> None:
    small = load(write_private(tmp_path / "a", 20) / "private-abc.jsonl")
    large = load(write_private(tmp_path / "b", 40) / "private-abc.jsonl")
    mixed, asked = split(small)
    assert {p.id for p in mixed.prompts} | {p.id for p in asked.prompts} == {p.id for p in small.prompts}
    assert not {p.id for p in mixed.prompts} & {p.id for p in asked.prompts}
    assert mixed.prompts and asked.prompts
    # A prompt that was trained on is never asked later, however the suite grows.
    assert {p.id for p in mixed.prompts} <= {p.id for p in split(large)[0].prompts}


def test_a_run_picks_them_up(tmp_path: Path) -> None:
    project = write_mini(tmp_path / "mini")
    write_private(project / "incidents", 20)
    with (project / "holdfast.yaml").open("a") as handle:
        handle.write("incidents: incidents\n")
    ctx = Context(load_project(project), Silent())
    assert len(ctx.requests) == 2 and len(ctx.development) == 2 and len(ctx.confirm) == 1
    assert ctx.requests[1].name.endswith("-mixed") and ctx.development[1].name.endswith("-asked")
