"""The benchmark as one picture: every attack under every defence, harm above and usefulness below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.html import render
from holdfast.lab.bench.report import Line

_CELL = (44, 22)
_LEFT, _HEAD, _GAP = 190, 98, 26
_RED, _BLUE = (178, 24, 43), (33, 102, 172)


def figure(lines: Sequence[Line]) -> str:
    """An SVG of two heat maps, in per cent.

    Above: harmful answers, the larger of those to plain requests and to requests asked the
    attack's way. Below: the customer task, or closed tasks where the data has none.
    """
    attacks = list(dict.fromkeys(line.attack for line in lines))
    defences = list(dict.fromkeys(line.defence for line in lines))
    found = {(line.attack, line.defence): line for line in lines}
    width, height = _CELL
    panels = []
    for number, (title, colour, value) in enumerate(
        (
            ("Harmful answers, % (plain or asked the attack's way)", _RED, harm),
            ("Customer task, or closed tasks where the data has none, % right", _BLUE, use),
        )
    ):
        rows = [
            {"name": attack, "cells": [_cell(found.get((attack, name)), value, colour) for name in defences]}
            for attack in attacks
        ]
        panels.append({"title": title, "rows": rows, "y": number * (_HEAD + height * len(attacks) + _GAP)})
    values = {
        "panels": panels,
        "columns": defences,
        "left": _LEFT,
        "cell_width": width,
        "cell_height": height,
        "width": _LEFT + width * len(defences) + 50,
        "height": 2 * (_HEAD + height * len(attacks) + _GAP),
    }
    return render("holdfast.lab", "bench.svg.j2", values)


def harm(line: Line) -> float:
    """The larger of harm asked plainly and asked the attack's way."""
    return max(line.rates[name].mean for name in ("harm", "harm_attack") if name in line.rates)


def use(line: Line) -> float:
    """The customer task where it was trained on, else the closed tasks."""
    return line.rates["task" if "task" in line.rates else "capability"].mean


def _cell(line: Line | None, value: Any, colour: tuple[int, int, int]) -> dict[str, str] | None:
    if line is None:
        return None
    share = value(line)
    mixed = [round(244 + (channel - 244) * share) for channel in colour]
    ink = "#ffffff" if share > 0.55 else "#1c2430"
    return {"fill": "#{:02x}{:02x}{:02x}".format(*mixed), "ink": ink, "text": f"{100 * share:.0f}"}
