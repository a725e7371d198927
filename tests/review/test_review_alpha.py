"""Krippendorff's alpha against his published worked examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.review import alpha_nominal


def units(*observers: str) -> list[list[str]]:
    return [[v for v in column if v != "."] for column in zip(*observers, strict=True)]


def test_two_observers_binary() -> None:
    """Krippendorff (2011), section A: ten units, two observers; alpha = 0.095."""
    assert alpha_nominal(units("0100000000", "1110010100")) == pytest.approx(0.095, abs=0.0005)


def test_two_observers_nominal() -> None:
    """Krippendorff (2011), section B: twelve units, five categories; alpha = 0.692."""
    assert alpha_nominal(units("aabbdcccedda", "babbbccceddd")) == pytest.approx(0.692, abs=0.0005)


def test_four_observers_with_missing_values() -> None:
    """Krippendorff (2011), section C: twelve units, four observers, missing data; alpha = 0.743."""
    data = units("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    assert alpha_nominal(data) == pytest.approx(0.743, abs=0.0005)


def test_undefined_cases() -> None:
    assert alpha_nominal([]) is None
    assert alpha_nominal([["a"], ["b"]]) is None
    assert alpha_nominal([["a", "a"], ["a", "a"]]) is None


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=0, max_size=4), max_size=30))
def test_bounds_and_order(data: list[list[str]]) -> None:
    value = alpha_nominal(data)
    assert value is None or -1.0 <= value <= 1.0
    assert alpha_nominal([list(reversed(unit)) for unit in reversed(data)]) == pytest.approx(value)


def test_it_is_the_coincidence_matrix_formula() -> None:
    """Direct evaluation of 1 - D_o / D_e from the coincidence matrix for a small table."""
    data = [["a", "a", "b"], ["b", "b"], ["a", "c"], ["c", "c", "c"]]
    pairs: dict[tuple[str, str], float] = {}
    for unit in data:
        for i, left in enumerate(unit):
            for j, right in enumerate(unit):
                if i != j:
                    pairs[left, right] = pairs.get((left, right), 0) + 1 / (len(unit) - 1)
    margin = {v: sum(o for (a, _), o in pairs.items() if a == v) for v in "abc"}
    n = sum(margin.values())
    observed = sum(o for (a, b), o in pairs.items() if a != b) / n
    expected = sum(margin[a] * margin[b] for a in "abc" for b in "abc" if a != b) / (n * (n - 1))
    assert alpha_nominal(data) == pytest.approx(1 - observed / expected)
