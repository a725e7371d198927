"""The benchmark: attacks x defences x seeds on the offline model, resumable, with tables and a picture."""

from holdfast.lab.bench.arms import ATTACKS, DEFENCES, Attack, Defence
from holdfast.lab.bench.figure import figure
from holdfast.lab.bench.page import page
from holdfast.lab.bench.report import markdown, shape, summary
from holdfast.lab.bench.run import bench, read
from holdfast.lab.bench.verdict import table, verdicts

__all__ = [
    "ATTACKS",
    "DEFENCES",
    "Attack",
    "Defence",
    "bench",
    "figure",
    "markdown",
    "page",
    "read",
    "shape",
    "summary",
    "table",
    "verdicts",
]
