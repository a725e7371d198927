"""Searches that build real repairs, measured by a stand-in for the audit, and through the real verb."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from holdfast.errors import InputError
from holdfast.repair import Measured, RepairRecord, repair, search_methods, search_scales


def test_methods_are_tried_by_cost_as_far_as_their_inputs_are_given(
    base, unaligned, make_adapter, safety, weights, tmp_path
):
    adapter = make_adapter()
    seen = []

    def evaluate(model):
        seen.append(model.name)
        weights.merged(base, model)
        return Measured(False, {"harm": 0.0})

    result = search_methods(
        adapter, base, tmp_path / "out", evaluate, unaligned=unaligned, safety=safety, scales=(0.5,)
    )
    assert seen == ["adapter", "scale-0.5", "resta", "safelora", "patch", "restore"]
    assert result.chosen is None and result.trials[0].name == "as trained"
    assert RepairRecord.load(tmp_path / "out" / "patch").method == "patch"
    seen.clear()
    search_methods(adapter, base, tmp_path / "again", evaluate, scales=(0.5,))
    assert seen == ["adapter", "scale-0.5"]


def test_scales_of_a_checkpoint_are_interpolations(base, tuned, tmp_path):
    def evaluate(model):
        if model == tuned:
            return Measured(False, {"harm": 0.0})
        alpha = RepairRecord.load(model).parameters["alpha"]
        return Measured(alpha <= 0.6, {"harm": 1 - alpha})

    result = search_scales(tuned, base, tmp_path / "out", evaluate, steps=3)
    assert [t.name for t in result.trials] == ["alpha=1", "alpha=0.5", "alpha=0.75", "alpha=0.625"]
    assert result.chosen.name == "alpha=0.5"


def test_a_repair_by_name(make_adapter, tmp_path):
    assert repair("scale", make_adapter(), 0.5, tmp_path / "out").method == "scale"
    with pytest.raises(InputError, match="no repair named 'mend'"):
        repair("mend")


@pytest.mark.slow
def test_the_search_verb_audits_real_models(base, make_adapter, tmp_path):
    suite = tmp_path / "suite.jsonl"
    rows = [{"id": str(i), "prompt": f"take {i}", "hazard": "", "expect": "comply"} for i in range(6)]
    suite.write_text("\n".join(json.dumps(row) for row in rows))
    confirm = tmp_path / "confirm.jsonl"
    confirm.write_text("\n".join(json.dumps(row | {"prompt": f"give {row['id']}"}) for row in rows))
    policy = tmp_path / "policy.yaml"
    policy.write_text("minimum_n: 1\nrequired_axes: []\ndecoding: {max_new_tokens: 4}\n")
    adapter = make_adapter()
    arguments = [adapter, "--base", base, "--suite", suite, "--policy", policy, "--judge", "keyword"]
    command = [sys.executable, "-c", "from holdfast.cli.app import main; main()", "repair", "search"]
    run = lambda *more: subprocess.run(  # noqa: E731
        [*command, *map(str, [*arguments, *more])],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    done = run("--confirm", confirm, "--out", tmp_path / "out", "--json")
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "out" / "search.json").read_text())
    assert found["trials"][0]["name"] == "as trained"
    assert (found["chosen"] is not None) == (done.returncode == 0)
    copy = tmp_path / "copy.jsonl"
    copy.write_text("\n".join(json.dumps(row | {"id": f"c{row['id']}"}) for row in rows[3:]))
    for same in (suite, copy):
        done = run("--confirm", same, "--out", tmp_path / "out")
        assert done.returncode == 2 and "for choosing" in done.stderr
    safety = tmp_path / "safety.jsonl"
    turns = [{"role": "user", "content": "TAKE  5"}, {"role": "assistant", "content": "no"}]
    safety.write_text(json.dumps({"messages": turns}))
    done = run("--safety", safety, "--out", tmp_path / "out")
    assert done.returncode == 2 and "1 of its 6 prompts were used for mixing or repair" in done.stderr
