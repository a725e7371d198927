"""Second opinions, cascades, and the counts of a calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judges.fakes import exchange

from holdfast.errors import InputError
from holdfast.judges import (
    Cascade,
    Exchange,
    Judgement,
    Labelled,
    Outcome,
    SecondOpinion,
    calibrate,
    load,
    read_labelled,
)  # fmt: skip
from holdfast.judges.calibration import interval, kappa


class Fixed:
    version = "1"

    def __init__(self, family: str, *verdicts: Judgement) -> None:
        self.name = self.family = family
        self.verdicts = list(verdicts)
        self.seen = 0

    def judge(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        self.seen += len(exchanges)
        return [self.verdicts.pop(0) for _ in exchanges]


HARM, SAFE = Judgement(Outcome.HARMFUL, 0.8), Judgement(Outcome.SAFE, 0.02)


def test_second_opinion_sees_positives_only_and_contests() -> None:
    second = Fixed("guard", HARM, SAFE)
    verdicts = SecondOpinion(Fixed("embedded", HARM, SAFE, HARM), second).judge([exchange()] * 3)
    assert [v.outcome for v in verdicts] == [Outcome.HARMFUL, Outcome.SAFE, Outcome.UNSCORED]
    assert second.seen == 2 and "disagree" in verdicts[2].reason


def test_second_opinion_needs_another_family() -> None:
    with pytest.raises(InputError, match="another family"):
        SecondOpinion(Fixed("guard"), Fixed("guard"))


def test_cascade_asks_where_unsure() -> None:
    second = Fixed("guard", SAFE, HARM)
    unsure, none = Judgement(Outcome.HARMFUL, 0.6), Judgement(Outcome.UNSCORED)
    first = Fixed("embedded", unsure, SAFE, none, Judgement(Outcome.EMPTY), Judgement(Outcome.HARMFUL, 0.99))
    outcomes = [v.outcome for v in Cascade(first, second).judge([exchange()] * 5)]
    assert outcomes == [Outcome.SAFE, Outcome.SAFE, Outcome.HARMFUL, Outcome.EMPTY, Outcome.HARMFUL]


def test_references_of_own_objects_and_combinations() -> None:
    judge = load("keyword~judges.test_combine_and_calibration:OTHER")
    assert judge.name == "keyword~guard" and judge.family == "cascade"
    with pytest.raises(InputError, match="not a judge"):
        load("judges.test_combine_and_calibration:NOT_A_JUDGE")


OTHER = Fixed("guard")
NOT_A_JUDGE = list


def test_calibration_counts() -> None:
    rows = [Labelled("p", "a", True, "x"), Labelled("p", "b", True, "y"), Labelled("p", "c", False, "x"),
            Labelled("p", "d", False, "y"), Labelled("p", "e", False, "y")]  # fmt: skip
    judge = Fixed("guard", HARM, SAFE, HARM, SAFE, Judgement(Outcome.UNSCORED))
    result = calibrate(judge, rows)
    overall = result.overall
    assert (overall.sensitivity.hits, overall.sensitivity.n) == (1, 2)
    assert (overall.specificity.hits, overall.specificity.n) == (1, 2)
    assert overall.unscored == 1 and result.unscored_reasons == {"unscored": 1}
    assert [arm.arm for arm in result.arms] == ["x", "y"]
    assert result.arms[1].precision.n == 0 and math.isnan(result.arms[1].precision.value)
    assert result.plain()["overall"]["n"] == 5


def test_exact_interval_against_published_values() -> None:
    # Clopper-Pearson 7/20: 0.1539 to 0.5922; 0/20: upper 0.1684 (1 - 0.025**(1/20)).
    rate = interval(7, 20)
    assert (round(rate.lower, 4), round(rate.upper, 4)) == (0.1539, 0.5922)
    assert interval(0, 20).upper == pytest.approx(1 - 0.025 ** (1 / 20))
    assert interval(20, 20).lower == pytest.approx(0.025 ** (1 / 20))


def test_kappa_by_hand() -> None:
    # Observed 0.7, chance 0.5: kappa 0.4 (Cohen's textbook table 20, 5, 10, 15).
    value, lower, upper = kappa(20, 5, 10, 15)
    assert value == pytest.approx(0.4) and lower < 0.4 < upper
    assert kappa(10, 0, 0, 10)[0] == 1.0
    assert math.isnan(kappa(10, 0, 0, 0)[0]) and math.isnan(kappa(0, 0, 0, 0)[0])


@given(st.integers(0, 50), st.integers(0, 50))
def test_interval_covers_the_rate(hits: int, misses: int) -> None:
    rate = interval(hits, hits + misses)
    if rate.n:
        assert 0 <= rate.lower <= rate.value <= rate.upper <= 1


@given(*[st.integers(0, 30)] * 4)
def test_kappa_stays_in_range(a: int, b: int, c: int, d: int) -> None:
    value, lower, upper = kappa(a, b, c, d)
    assert math.isnan(value) or -1 <= lower <= value + 1e-12 <= upper + 2e-12 <= 1 + 3e-12


def test_labelled_files_and_their_faults(tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text('prompt,response,label,arm\np,"two\nlines",unsafe,base\nq,no,0,tuned\n', encoding="utf-8")
    rows = read_labelled(good)
    assert [(r.harmful, r.arm) for r in rows] == [(True, "base"), (False, "tuned")]
    bad = tmp_path / "bad.csv"
    bad.write_text("prompt,response,label\np,a,perhaps\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"bad.csv:2: unknown label"):
        read_labelled(bad)
    bad.write_text("prompt,answer\np,a\n", encoding="utf-8")
    with pytest.raises(InputError, match="no column 'response'"):
        read_labelled(bad)
    bad.write_bytes(b"prompt,response,label\n\xff\xfe,a,1\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_labelled(bad)
    with pytest.raises(InputError, match="no such file"):
        read_labelled(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no labelled rows"):
        calibrate(OTHER, [])
