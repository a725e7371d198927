"""The benchmark's page: the picture, what the automatic choice kept, a plot per attack, all cells."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast import __version__
from holdfast.html import render
from holdfast.lab.bench.arms import ATTACKS, AUTO
from holdfast.lab.bench.figure import figure
from holdfast.lab.bench.report import RATES, Line, Record, summary
from holdfast.lab.bench.verdict import verdicts


def page(records: Sequence[Record]) -> str:
    """One self-contained HTML page: harm against task (or ordinary helpfulness), then the table."""
    lines = summary(records)
    charts = []
    for attack in dict.fromkeys(line.attack for line in lines):
        axis = "task" if "customer" in ATTACKS[attack].rows else "capability"
        points = [
            {"label": one.defence, "x": one.rates["harm"].mean, "y": one.rates[axis].mean, "kind": _kind(one)}
            for one in lines
            if one.attack == attack and axis in one.rates
        ]
        charts.append({"attack": attack, "axis": axis, "points": points})
    values = {
        "charts_data": charts,
        "picture": figure(lines),
        "verdicts": verdicts(lines),
        "lines": lines,
        "rates": RATES,
        "version": __version__,
    }
    return render("holdfast.lab", "bench.html.j2", values)


def _kind(line: Line) -> str:
    if line.defence in ("base", "none"):
        return "base" if line.defence == "base" else "bad"
    return "tuned" if line.defence == AUTO else "good"
