"""Checkable answers: hand-made cases and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InputError
from holdfast.suites import check_answer, parse_expect

CASES = [
    ("exact:Paris", "paris.", True),
    ("exact:Paris", "**Paris**", True),
    ("exact:Paris", "It is Paris", False),
    ("contains:Paris", "It is Paris, of course", True),
    ("contains:art", "party", False),
    ("contains:H2O|water", "That is Water", True),
    ("contains:new york", "New\n  York", True),
    ("number:42", "so 6 * 7 = 42.", True),
    ("number:42", "42 apples and 3 pears", False),
    ("number:1000", "about 1,000", True),
    ("number:-3", "the answer is \u22123", True),
    ("number:0.5", "0.50", True),
    ("number:7", "seven", False),
    ("choice:B", "B", True),
    ("choice:b", "(B) because it floats", True),
    ("choice:B", "The answer is **B**.", True),
    ("choice:B", "A is wrong, so the correct option: B", True),
    ("choice:B", "A", False),
    ("choice:A", "A dog barks at night", False),
    ("choice:C", "it must be (C)", True),
    (r"regex:^\d{4}-\d\d$", "2024-05", True),
    (r"regex:^\d{4}-\d\d$", "on 2024-05", False),
]


@pytest.mark.parametrize(("expect", "answer", "passes"), CASES)
def test_check(expect: str, answer: str, passes: bool) -> None:
    assert check_answer(expect, answer) is passes


@pytest.mark.parametrize(
    "expect", ["", "maybe", "number:x", "choice:BC", "regex:(", "exact:", r"regex:(a)\1", "contains: "]
)
def test_bad_expectation(expect: str) -> None:
    with pytest.raises(InputError):
        parse_expect(expect)


def test_plain_expectations_need_a_judge() -> None:
    assert parse_expect("refuse") == ("refuse", "")
    with pytest.raises(InputError, match="judge"):
        check_answer("refuse", "no")


def test_regex_is_linear_time() -> None:
    assert not check_answer("regex:(a+)+$", "a" * 20_000 + "b")


@given(st.integers(-(10**9), 10**9), st.text(alphabet="abc ,", max_size=10))
def test_a_number_is_found_with_and_without_separators(n: int, before: str) -> None:
    assert check_answer(f"number:{n}", f"{before} {n}")
    assert check_answer(f"number:{n}", f"{before} {n:,}.")
    assert not check_answer(f"number:{n + 7}", f"{n:,}") or abs(n) > 10**6


@given(st.sampled_from(["exact:a", "contains:a", "number:1", "choice:A", "regex:a"]), st.text())
def test_any_answer_gets_a_verdict(expect: str, answer: str) -> None:
    assert check_answer(expect, answer) in (True, False)
