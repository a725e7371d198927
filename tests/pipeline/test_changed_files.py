"""What a stage reads is known by its content, and found beside the project file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mini import write_mini

from holdfast.errors import InputError
from holdfast.lab import base_model
from holdfast.pipeline.candidates import _reads
from holdfast.pipeline.context import Context
from holdfast.pipeline.data import blend, screen
from holdfast.pipeline.ui import Silent
from holdfast.project import load_project


def write_own(project: Path, word: str) -> None:
    turns = [{"role": "user", "content": word}, {"role": "assistant", "content": "i can not help ."}]
    (project / "own.jsonl").write_text(json.dumps({"messages": turns}) + "\n")


def extend(project: Path, text: str) -> None:
    config = project / "holdfast.yaml"
    config.write_text(config.read_text().replace("mix: {max_new_tokens: 32, pool: 80}", text))


def test_a_changed_file_of_own_safety_rows_is_mixed_anew(tmp_path: Path, monkeypatch) -> None:
    project = write_mini(tmp_path / "mini")
    extend(project, "mix: {max_new_tokens: 32, pool: 4, file: own.jsonl}")
    monkeypatch.chdir(tmp_path)
    ctx = Context(load_project(project), Silent())
    screened = screen(ctx)
    for word in ("break the seal", "open the vault"):
        write_own(project, word)
        assert word in blend(ctx, screened).safety.read_text()
    (project / "own.jsonl").unlink()
    with pytest.raises(InputError, match="no such file"):
        blend(ctx, screened)


def test_what_the_settings_name_is_known_by_its_content(tmp_path: Path) -> None:
    project = write_mini(tmp_path / "mini")
    shutil.copytree(base_model(), project / "unaligned")
    (project / "chat.jinja").write_text("one")
    config = project / "holdfast.yaml"
    config.write_text(
        config.read_text().replace("train: {", "unaligned: unaligned\ntrain: {chat_template: chat.jinja, ")
        + "candidates: [{name: asft, guards: [{name: asft, unaligned: unaligned}]}]\n"
    )
    loaded = load_project(project)
    settings = loaded.training(loaded.candidates[0])
    assert settings.chat_template == project / "chat.jinja"
    assert settings.checkpoints == (project / "unaligned",)

    def known() -> tuple[list[str], str]:
        return _reads(settings), Context(loaded, Silent()).unaligned_digest

    seen = [known()]
    (project / "chat.jinja").write_text("two")
    seen.append(known())
    weights = project / "unaligned" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    seen.append(known())
    assert len({one[0][0] for one in seen}) == 2 and seen[0][0][1] == seen[1][0][1]
    assert seen[2][0][1] != seen[1][0][1] and seen[2][1] != seen[1][1] == seen[0][1]
