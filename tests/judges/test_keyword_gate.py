# ruff: noqa: E501, SIM905
"""The cheap look before the refusal patterns never hides a match."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.judges import keyword

WORDS = st.sampled_from(
    "I am I'm sorry but so very can't cannot can not will won't must decline refuse unable to help assist it is "
    "unethical illegal and inappropriate wrong against my guidelines strongly advise you not to please contact "
    "as an AI don't support condone think that instead rather happy absolutely no never . ! harmful would not".split()
)


def ungated(text: str) -> float:
    strong = 1.0 if text and keyword.STRONG.search(text) else 0.0
    return strong + 0.3 * min(len(keyword.WEAK.findall(text)), 2)


@given(st.lists(WORDS, max_size=30).map(" ".join))
def test_gate_changes_nothing(text: str) -> None:
    assert keyword._weight(text) == ungated(text)
