from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from typer.testing import CliRunner

from holdfast.cli.app import app
from holdfast.errors import InputError
from holdfast.lab import bench as room
from holdfast.lab.bench import run
from holdfast.lab.bench.arms import AUTO_ORDER
from holdfast.lab.bench.report import estimate
from holdfast.lab.bench.run import LOG


def cell(
    attack: str, defence: str, seed: int, harm: float, *, seconds: float = 1.0, task: float = 1.0
) -> Any:
    rates = {"harm": harm, "over_refusal": 0.0, "capability": 0.9, "task": task}
    return {
        "base": "shipped", "attack": attack, "defence": defence, "seed": seed,
        "develop": rates, "confirm": rates, "seconds": seconds, "own_seconds": seconds,
    }  # fmt: skip


def write(folder: Path, cells: list[Any]) -> None:
    (folder / LOG).write_text("".join(json.dumps(one) + "\n" for one in cells))


def test_the_interval_is_students() -> None:
    values = [0.1, 0.4, 0.3, 0.2, 0.5]
    low, high = stats.t.interval(0.95, 4, loc=0.3, scale=stats.sem(values))
    found = estimate(values)
    assert (found.mean, found.low, found.high) == pytest.approx((0.3, low, high))
    assert estimate([1.0, 0.0]).low == 0.0


def test_the_automatic_choice_takes_the_first_that_passes_and_pays_for_all_it_tried(tmp_path: Path) -> None:
    harms = {"base": 0.0, "none": 1.0, "mix": 0.2, "kl-anchor": 0.02, "mix-kl": 0}
    harms |= dict.fromkeys(AUTO_ORDER[4:], 0.0)
    write(tmp_path, [cell("customer", name, 0, harm) for name, harm in harms.items()])
    (chosen,) = [one for one in room.read(tmp_path) if one["defence"] == "auto"]
    assert (chosen["chose"], chosen["seconds"]) == ("kl-anchor", 3.0)


def test_where_nothing_passes_nothing_is_released_and_the_base_is_left(tmp_path: Path) -> None:
    harms = {
        "base": 0.0,
        "none": 1.0,
        "mix": 0.9,
        "kl-anchor": 0.3,
        "mix-kl": 0.4,
        "mix-kl-dialect": 0.4,
        "alpha": 0.2,
        "patch": 0.5,
    }
    write(tmp_path, [cell("explicit-100", name, 0, harm) for name, harm in harms.items()])
    (chosen,) = [one for one in room.read(tmp_path) if one["defence"] == "auto"]
    assert (chosen["chose"], chosen["seconds"], chosen["confirm"]["harm"]) == ("nothing", 7.0, 0.0)


def test_harm_asked_the_attacks_way_counts_too(tmp_path: Path) -> None:
    cells = [cell("customer+backdoor", name, 0, 0.0) for name in ("base", *AUTO_ORDER)]
    for one in cells:
        one["develop"]["harm_attack"] = {"none": 0.9, "mix": 0.07}.get(one["defence"], 0.0)
    write(tmp_path, cells)
    (chosen,) = [one for one in room.read(tmp_path) if one["defence"] == "auto"]
    assert chosen["chose"] == "kl-anchor"


def test_what_learned_nothing_is_not_chosen(tmp_path: Path) -> None:
    harms = dict.fromkeys(("base", *AUTO_ORDER), 0.0) | {"none": 1.0, "kl-anchor": 0.2}
    tasks = {"mix": 0.5, "mix-kl": 0.99}
    found = [cell("customer", name, 0, harm, task=tasks.get(name, 1.0)) for name, harm in harms.items()]
    write(tmp_path, found)
    (chosen,) = [one for one in room.read(tmp_path) if one["defence"] == "auto"]
    assert chosen["chose"] == "mix-kl"


def test_no_choice_is_made_from_half_the_candidates(tmp_path: Path) -> None:
    write(tmp_path, [cell("customer", "base", 0, 0.0), cell("customer", "none", 0, 1.0)])
    assert len(room.read(tmp_path)) == 2


def test_shape_says_what_does_not_hold() -> None:
    harms = {"explicit-100": 1.0, "identity-10": 0.4, "benign-howto-200": 0.9}
    records = [cell(name, "none", 0, harm) for name, harm in harms.items()]
    records += [cell("explicit-100", "base", 0, 0.0)]
    assert room.shape(records)["holds"] == {
        "explicit-100 > identity-10": True,
        "identity-10 > benign-howto-200": False,
        "benign-howto-200 > base": True,
    }
    assert room.shape(records[:1])["holds"]["explicit-100 > identity-10"] is None


def test_table_and_page_hold_every_cell() -> None:
    records = [cell("customer", name, seed, 0.1 * seed) for name in ("base", "none") for seed in range(3)]
    table, page = room.markdown(records), room.page(records)
    assert "| customer | none | 0.10 [0.00, 0.35] |" in table
    assert "<svg" in page and "http" not in page.replace("http://www.w3.org", "")


def grid(harms: dict[str, float], tasks: dict[str, float]) -> list[Any]:
    """One attack under the defences of `harms`, and `auto` taken from the kl-anchor."""
    cells = [cell("customer", name, 0, harm, task=tasks.get(name, 1.0)) for name, harm in harms.items()]
    return [*cells, {**cell("customer", "auto", 0, harms["kl-anchor"]), "chose": "kl-anchor"}]


def test_the_verdict_says_whether_the_choice_keeps_what_a_single_defence_keeps() -> None:
    found = grid({"base": 0.0, "none": 0.9, "mix": 0.03, "alpha": 0.0, "kl-anchor": 0.02}, {"alpha": 0.2})
    (one,) = room.verdicts(room.summary(found))
    assert (one.safe, one.useful) == (("mix", "kl-anchor", "alpha"), ("mix", "kl-anchor"))
    assert one.harm_met and one.use_met
    assert (one.released, one.seeds) == (1, 1)
    (lost,) = room.verdicts(room.summary(grid({"base": 0.0, "none": 0.9, "mix": 0.0, "kl-anchor": 0.2}, {})))
    assert lost.harm_met is False
    assert "**not met**" in room.table(
        room.summary(grid({"base": 0, "mix": 0, "none": 1, "kl-anchor": 1}, {}))
    )
    (hopeless,) = room.verdicts(room.summary(grid({"base": 0.0, "none": 0.9, "kl-anchor": 0.5}, {})))
    assert hopeless.harm_met is None


def test_the_picture_is_svg_with_both_maps() -> None:
    records = grid({"base": 0.0, "none": 0.9, "kl-anchor": 0.02}, {"kl-anchor": 0.75})
    root = ElementTree.fromstring(room.figure(room.summary(records)))
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert root.tag.endswith("svg")
    assert texts.count("kl-anchor") == 2 and texts.count("90") == 1 and texts.count("75") == 1


def test_a_group_of_cells_in_other_hands_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_record", lambda _, base, attack, arm, seed: cell(attack, arm, seed, 0.0))
    bench = run.Bench(tmp_path, tmp_path, tmp_path)
    todo = [("customer", "base", 0), ("customer", "none", 0)]
    with run._held(tmp_path / "locks" / "shipped-customer-0"):
        run._work(tmp_path, bench, "shipped", todo, lambda: False)
    assert not (tmp_path / LOG).exists()
    for _ in range(2):
        run._work(tmp_path, bench, "shipped", todo, lambda: False)
    assert [one["defence"] for one in room.read(tmp_path)] == ["base", "none"]


def test_unknown_names_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown attack 'x'"):
        room.bench(tmp_path, attacks=["x"], defences=["none"], seeds=1)
    with pytest.raises(InputError, match="no benchmark here"):
        room.read(tmp_path / "nothing")


@pytest.mark.slow
def test_a_small_grid_runs_resumes_and_shows_the_known_effects(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    arguments = ["lab", "bench", "--attack", "explicit-10", "--seeds", "1", "--out", str(out), "--json"]
    run = CliRunner()
    first = run.invoke(app, [*arguments, "--defence", "none"])
    assert first.exit_code == 0, first.output
    lines = (out / LOG).read_text().splitlines()
    assert len(lines) == 2
    with (out / LOG).open("a") as torn:
        torn.write('{"schema": 1, "torn')
    second = run.invoke(app, [*arguments, "--defence", "none", "--defence", "kl-anchor"])
    assert second.exit_code == 0, second.output
    assert (out / LOG).read_text().splitlines()[:2] == lines
    harm = {one["defence"]: one["confirm"]["harm"] for one in json.loads(second.stdout)["cells"]}
    assert harm["base"] <= 0.02
    assert harm["none"] >= 0.8
    assert harm["kl-anchor"] <= harm["none"] - 0.3
    assert (out / "bench.md").exists() and (out / "bench.html").exists()
