"""Judges: what an answer is (refusal, harm, babble), with every failure counted.

`load("embedded")` gives a judge; `judge([Exchange(...)])` gives one `Judgement` each.
`embedded.refusal_probability` and `embedded.harm_probability` are the same numbers as arrays.
"""

from holdfast.judges.base import Exchange, Judge, Judgement, Outcome
from holdfast.judges.calibration import Calibration, Labelled, calibrate, read_labelled
from holdfast.judges.combine import Cascade, SecondOpinion
from holdfast.judges.registry import load, names

__all__ = [
    "Calibration",
    "Cascade",
    "Exchange",
    "Judge",
    "Judgement",
    "Labelled",
    "Outcome",
    "SecondOpinion",
    "calibrate",
    "load",
    "names",
    "read_labelled",
]
