"""The benchmark: attacks x defences x seeds on the offline model, resumable, with tables and a picture."""

from holdfast.lab.bench.arms import ATTACKS, DEFENCES, Attack, Defence
from holdfast.lab.bench.report import markdown, page, shape, summary
from holdfast.lab.bench.run import bench, read

__all__ = [
    "ATTACKS",
    "DEFENCES",
    "Attack",
    "Defence",
    "bench",
    "markdown",
    "page",
    "read",
    "shape",
    "summary",
]
