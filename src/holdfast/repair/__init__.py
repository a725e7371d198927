"""Repair: edit tuned weights back towards safety, and choose the edit by measurement.

Every repair writes an ordinary PEFT adapter or Hugging Face folder and a record of what was done.
"""

from holdfast.repair.audited import METHODS, evaluator, repair, search_methods, search_scales
from holdfast.repair.guided import patch, restore
from holdfast.repair.interpolation import interpolate, merge
from holdfast.repair.record import RepairRecord
from holdfast.repair.safelora import safelora, safemerge
from holdfast.repair.safety_vector import lox, resta
from holdfast.repair.scaling import scale
from holdfast.repair.search import Candidate, Measured, Search, Trial, pareto, search, search_alpha
from holdfast.rooms import callable_room

__all__ = [
    "METHODS",
    "Candidate",
    "Measured",
    "RepairRecord",
    "Search",
    "Trial",
    "evaluator",
    "interpolate",
    "lox",
    "merge",
    "pareto",
    "patch",
    "repair",
    "resta",
    "restore",
    "safelora",
    "safemerge",
    "scale",
    "search",
    "search_alpha",
    "search_methods",
    "search_scales",
]

callable_room(__name__, "repair")
