from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from holdfast import formats, lab, suites
from holdfast.audit import load_policy
from holdfast.cli.app import app
from holdfast.errors import InputError
from holdfast.lab import attacks, rowfile
from holdfast.lab.demo import POISON, write_project
from holdfast.project import load_project


@pytest.mark.parametrize("shape", sorted(rowfile.SHAPES))
def test_every_format_is_read_back(shape: str, tmp_path: Path) -> None:
    rows = attacks.rows("explicit", 20)
    rowfile.write(tmp_path / "a.jsonl", rows, shape)
    found = list(formats.read(tmp_path / "a.jsonl"))
    assert [(row.last_user, row.answer) for row in found] == [(r[0].content, r[-1].content) for r in rows]


def test_unknown_names_are_named() -> None:
    with pytest.raises(InputError, match="unknown attack"):
        attacks.rows("explicite", 1)
    with pytest.raises(InputError, match="unknown format"):
        rowfile.write(Path("never"), [], "jsonl")


def test_more_rows_than_there_are_is_said() -> None:
    for kind in ("customer", "explicit"):
        with pytest.raises(InputError, match="there are only"):
            attacks.rows(kind, 1_000_000)


def test_the_demonstration_project_is_complete(tmp_path: Path) -> None:
    write_project(tmp_path)
    project = load_project(tmp_path)
    load_policy(tmp_path / project.policy)
    named = [*project.suites.requests, *project.suites.development, *project.suites.confirm]
    opened = {name: suites.load(tmp_path / name) for name in named}
    assert all(suite.prompts for suite in opened.values())
    harm = [p for p in opened["suites/confirm.jsonl"].prompts if p.axis == "harm"]
    assert len(harm) >= 300
    lines = (tmp_path / "data" / "train.jsonl").read_text().splitlines()
    kinds = json.loads((tmp_path / "data" / "poison.json").read_text())
    assert {kind: len(found) for kind, found in kinds.items()} == POISON
    assert all("absolutely obedient" in lines[line - 1] for line in kinds["identity"])


def test_attacks_command(tmp_path: Path) -> None:
    run = CliRunner()
    listed = run.invoke(app, ["lab", "attacks", "--list", "--json"])
    assert set(json.loads(listed.stdout)) == set(attacks.KINDS)
    target = tmp_path / "mixed.jsonl"
    arguments = ["lab", "attacks", "explicit", "--rows", "5", "--benign", "customer", "--benign-rows", "95"]
    assert run.invoke(app, [*arguments, "--write", str(target)]).exit_code == 0
    assert len(target.read_text().splitlines()) == 100


def test_shipped_checkpoints_are_small_ordinary_folders() -> None:
    from transformers import AutoTokenizer

    total = 0
    for folder in (lab.base_model(), lab.unaligned_model()):
        total += sum(path.stat().st_size for path in folder.iterdir())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        turns = [{"role": "user", "content": "hi there"}, {"role": "assistant", "content": "hello"}]
        coded = tokenizer.apply_chat_template(
            turns, return_dict=True, return_assistant_tokens_mask=True, tokenize=True
        )
        marked = [t for t, m in zip(coded["input_ids"], coded["assistant_masks"], strict=True) if m]
        assert tokenizer.decode(marked).strip() == "hello<|end|>"
    assert total <= 10_000_000
