"""The report tells only what was measured, and shows foreign text as text."""

from __future__ import annotations

from typing import Any

from holdfast.pipeline.report import hazard_rows, points, probe_lines, render_report, story


def axis(name: str, base: float, tuned: float, verdict: str = "pass") -> dict[str, Any]:
    return {
        "name": name,
        "n": 100,
        "base": base,
        "tuned": tuned,
        "delta": tuned - base,
        "upper": tuned - base + 0.02,
        "margin": 0.05,
        "verdict": verdict,
    }


def row(name: str, harm: float, task: float, verdict: str) -> dict[str, Any]:
    return {
        "name": name,
        "verdict": verdict,
        "axes": [axis("harm", 0.0, harm), axis("task", 1.0, task)],
        "seconds": 3,
        "front": True,
    }


def decision(**changes: Any) -> dict[str, Any]:
    return {
        "name": "demo",
        "verdict": "pass",
        "chosen": "guarded",
        "weights": "w",
        "reasons": ["ok"],
        "candidates": [row("plain", 0.4, 0.1, "fail"), row("guarded", 0.0, 0.1, "pass")],
        "reference": row("reference", 0.9, 0.1, "fail"),
        "screen": {
            "00-<b>.jsonl": {
                "rows": 50,
                "verdicts": {"keep": 44, "review": 2, "block": 4},
                "codes": {"ID201": 4},
            }
        },
        "mix": {},
        "audit": "confirm/audit.json",
        "digests": {"policy": "a" * 64, "tuned": ""},
    } | changes


def hazard(name: str, base: float, tuned: float, n: int = 10) -> dict[str, Any]:
    return {"hazard": name, "base": base, "tuned": tuned, "tuned_interval": [0.0, 1.0], "n": n}


def test_the_story_is_told_in_measured_numbers() -> None:
    lines = story(decision(), {"axes": [axis("harm", 0.01, 0.02)]})
    assert "from 0.0 % to 90.0 % of 100 prompts while it learned the task to 90.0 %" in lines[0]
    assert "looked at 50 rows: it put 4 in quarantine and left 2 for people" in lines[1]
    assert "plain" in lines[2] and "40.0 %" in lines[2] and "fail" in lines[2]
    assert "at most 3.0 points, the margin 5.0 points" in lines[-1]


def test_nothing_is_told_that_was_not_measured() -> None:
    assert story(decision(candidates=[], reference=None, screen={}), None) == []


def test_points_show_every_arm_once_with_the_base_first() -> None:
    found = points(decision())
    assert [p["label"] for p in found] == ["base", "unscreened, plain", "plain", "guarded"]
    assert found[0]["y"] == 1.0 and found[1]["y"] == 1 - 0.9
    assert [p["kind"] for p in found] == ["base", "tuned", "tuned", "good"]


def test_hazards_are_ordered_by_change_and_empty_ones_left_out() -> None:
    rows = hazard_rows(
        {"hazards": [hazard("a_b", 0.0, 0.1), hazard("c", 0.0, 0.5), hazard("d", 0.0, 0.0, n=0)]}
    )
    assert [r["label"] for r in rows] == ["c", "a b"]


def test_the_page_escapes_and_stands_alone() -> None:
    confirm = {"axes": [axis("harm", 0.0, 0.0)], "hazards": [hazard("<script>", 0.0, 0.1)]}
    page = render_report(decision(reasons=["<img src=x>"]), confirm, {}, {"hazards": []})
    assert "<img" not in page and "<b>" not in page and "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<script>") == 1


def test_a_run_that_stopped_before_training_has_a_page_too() -> None:
    empty = decision(
        verdict="inconclusive", chosen=None, weights=None, candidates=[], reference=None, audit=None
    )
    assert "No model is released" in render_report(empty, None, {})


def test_the_probes_log_is_drawn_from_the_base_on() -> None:
    log = [
        {"step": 50, "probe/log_odds": 2.0, "probe/log_odds_change": -1.5, "probe/alarm": 0.0},
        {"step": 60, "probe/log_odds": 1.0, "probe/log_odds_change": -2.5, "probe/alarm": 0.0},
    ]
    assert probe_lines({"probe_log": log}) == {"steps": [0, 50, 60], "values": [3.5, 2.0, 1.0]}
    assert "During training" in render_report(decision(), None, {"probe_log": log[1:]})
    assert probe_lines({"probe_log": []}) is probe_lines({}) is None
