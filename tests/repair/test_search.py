"""The search tries the cheap first, stops at the first that passes, keeps the front."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InputError
from holdfast.repair import Candidate, Measured, Trial, pareto, search, search_alpha


def candidate(name, cost, built):
    def make():
        built.append(name)
        return Path(name)

    return Candidate(name, make, cost)


SCORES = {
    "dear": Measured(True, {"safety": 1.0, "task": 0.9}),
    "cheap": Measured(False, {"safety": 0.2, "task": 0.9}),
    "middle": Measured(True, {"safety": 0.9, "task": 0.5}),
    "worse": Measured(False, {"safety": 0.1, "task": 0.4}),
}


def evaluate(path):
    return SCORES[str(path)]


def test_the_cheapest_that_passes_is_chosen_and_the_rest_not_built():
    built: list[str] = []
    names = [("dear", 9), ("cheap", 1), ("middle", 5), ("worse", 2)]
    result = search([candidate(n, c, built) for n, c in names], evaluate)
    assert built == ["cheap", "worse", "middle"]
    assert result.chosen.name == "middle"
    assert [trial.name for trial in result.front] == ["cheap", "middle"]
    plain = result.to_dict()
    assert plain["chosen"] == "middle" and plain["confirmed"] is None
    assert [t["front"] for t in plain["trials"]] == [True, False, True]


def test_a_failed_confirmation_chooses_nothing():
    built: list[str] = []
    result = search(
        [candidate("middle", 1, built), candidate("dear", 2, built)],
        evaluate,
        confirm=lambda path: Measured(False, {"safety": 0.5, "task": 0.5}),
    )
    assert result.chosen is None and built == ["middle"]
    assert result.to_dict()["confirmed"] is False


def test_nothing_passes():
    result = search([candidate("cheap", 1, [])], evaluate)
    assert result.chosen is None and len(result.trials) == 1
    with pytest.raises(InputError, match="no repair"):
        search([], evaluate)


@given(limit=st.floats(0.02, 0.999), steps=st.integers(1, 8))
def test_alpha_search_finds_the_largest_passing_scale(limit, steps):
    tried = []

    def scale(alpha):
        tried.append(alpha)
        return Path(str(alpha))

    def audit(path):
        alpha = float(str(path))
        return Measured(alpha <= limit, {"safety": 1 - alpha, "task": alpha})

    result = search_alpha(scale, audit, steps=steps)
    assert len(tried) == steps + 1
    if result.chosen is None:
        assert limit < 2.0**-steps
    else:
        chosen = float(result.chosen.model)
        assert chosen <= limit < chosen + 2.0**-steps


def test_an_adapter_that_passes_is_left_alone():
    result = search_alpha(lambda a: Path(str(a)), lambda p: Measured(True, {"safety": 1.0}))
    assert result.chosen.name == "alpha=1" and len(result.trials) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8))
def test_the_front_holds_every_best_and_nothing_beaten(points):
    trials = [Trial(str(i), 0, "", Measured(False, {"a": a, "b": b})) for i, (a, b) in enumerate(points)]
    front = [(t.measured.scores["a"], t.measured.scores["b"]) for t in pareto(trials)]
    for a, b in points:
        beaten = any(c >= a and d >= b and (c, d) != (a, b) for c, d in points)
        assert ((a, b) in front) == (not beaten)
