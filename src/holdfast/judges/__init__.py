"""Judges: what an answer is (refusal, harm, babble), with every failure counted.

`load("embedded")` gives a judge; `judge([Exchange(...)])` gives one `Judgement` each.
`embedded.refusal_probability` and `embedded.harm_probability` are the same numbers as arrays.
"""

from holdfast.judges.base import Exchange, Judge, Judgement, Outcome
from holdfast.judges.combine import Cascade, SecondOpinion
from holdfast.judges.registry import load, names

__all__ = ["Cascade", "Exchange", "Judge", "Judgement", "Outcome", "SecondOpinion", "load", "names"]
