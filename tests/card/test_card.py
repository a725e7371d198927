import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from holdfast import card
from holdfast.card.card import axes_table
from holdfast.cli.card import app
from holdfast.errors import InputError
from holdfast.repair import RepairRecord

AXIS = {
    "name": "over_refusal",
    "n": 200,
    "base": 0.01,
    "tuned": 0.03,
    "delta": 0.02,
    "upper": 0.031,
    "upper_worst": 0.041,
    "margin": 0.05,
    "verdict": "pass",
}
DECISION = {
    "schema": 1,
    "name": "demo",
    "verdict": "pass",
    "chosen": "kl-anchor",
    "reasons": ["every axis holds its margin"],
    "candidates": [{"name": "plain", "verdict": "fail"}],
    "screen": {"00-a.jsonl": {"rows": 9, "verdicts": {"keep": 7, "review": 1, "block": 1}}},
    "mix": {},
    "audit": "confirm/audit.json",
    "digests": {"policy": "ab", "base": "cd", "tuned": ""},
    "version": "0.1.0",
}


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / "confirm").mkdir()
    how = {
        "suites": [{"name": "builtin:hazards", "version": "1", "digest": "d" * 64}],
        "judges": [{"name": "embedded", "family": "embedded", "version": "e1"}],
        "decoding": {"max_new_tokens": 40, "temperature": 0.0},
    }
    (tmp_path / "confirm" / "audit.json").write_text(json.dumps({"axes": [AXIS]} | how))
    (tmp_path / "decision.json").write_text(json.dumps(DECISION))
    return tmp_path


def test_card_tells_verdict_evidence_and_limits(run_folder: Path) -> None:
    text = card.write(run_folder).read_text()
    assert "**Verdict: pass** for candidate `kl-anchor`" in text
    assert "| over-refusal | 200 | 1.0 % | 3.0 % | +2.0 pt | +4.1 pt | +5.0 pt | pass |" in text
    assert "`a.jsonl`: 9 rows: 7 keep, 1 review, 1 block" in text
    assert "cannot prove its absence" in text
    assert "- Suites: builtin:hazards 1 (`dddddddddddd`)\n- Judges: embedded e1\n" in text
    assert "- Decoding: max_new_tokens 40, temperature 0.0" in text
    assert json.loads((run_folder / "card.json").read_text())["axes"] == [AXIS]


def test_card_says_what_was_done_to_the_weights(run_folder: Path) -> None:
    assert "done to the weights" not in card.write(run_folder).read_text()
    (run_folder / "decision.json").write_text(json.dumps(DECISION | {"weights": "adapter"}))
    (run_folder / "adapter").mkdir()
    RepairRecord(
        method="scale",
        parameters={},
        source=str(run_folder),
        source_digest="",
        output=str(run_folder / "adapter"),
        tensors={},
        notes=["The update was halved."],
    ).save()
    text = card.write(run_folder).read_text()
    assert "## What was done to the weights after training\n\n- The update was halved.\n" in text


def test_card_of_a_run_without_release(run_folder: Path) -> None:
    (run_folder / "decision.json").write_text(
        json.dumps(DECISION | {"verdict": "fail", "chosen": None, "audit": None})
    )
    assert "no confirming audit was made" in card.write(run_folder).read_text()


def test_axes_table_shows_missing_values() -> None:
    assert "| – |" in axes_table([AXIS | {"margin": None}])


def test_unfinished_run_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no decision.json"):
        card.write(tmp_path)


def test_model_card_section_is_added_then_replaced(run_folder: Path) -> None:
    path = card.write(run_folder)
    readme, out = run_folder / "OLD.md", run_folder / "NEW.md"
    readme.write_text("---\nbase_model: x\n---\n# My model\n\nText.\n")
    card.update_model_card(readme, path, out)
    once = out.read_text()
    assert once.startswith("---\nbase_model: x\n---\n# My model") and "## Safety card: demo" in once
    again = run_folder / "AGAIN.md"
    card.update_model_card(out, path, again)
    assert again.read_text() == once
    assert readme.read_text().endswith("Text.\n")


def test_model_card_is_never_overwritten_in_place(run_folder: Path) -> None:
    path = card.write(run_folder)
    readme = run_folder / "README.md"
    readme.write_text("x")
    with pytest.raises(InputError, match="never overwritten"):
        card.update_model_card(readme, path, readme)
    readme.write_text(card.MARKERS[0])
    with pytest.raises(InputError, match="one marker"):
        card.update_model_card(readme, path, run_folder / "o.md")


def test_command_line(run_folder: Path) -> None:
    result = CliRunner().invoke(app, [str(run_folder), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verdict"] == "pass"
