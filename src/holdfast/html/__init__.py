"""Reports: one self-contained HTML file, readable on a phone and in print, light and dark, offline.

A room keeps its template in `<room>/templates/NAME.html.j2`; it extends `base.html.j2` and
imports the SVG macros of `charts.html.j2`, both found here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]


def render(package: str, template: str, values: Mapping[str, Any]) -> str:
    """Render `template` of `package` (such as `holdfast.audit`) with everything escaped."""
    return _environment(package).get_template(template).render(**values)


@lru_cache
def _environment(package: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loaders = [PackageLoader("holdfast.html", "templates")]
    if package != "holdfast.html":
        loaders.insert(0, PackageLoader(package, "templates"))
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["points"] = points
    return environment


def percent(value: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def points(value: float | None, digits: int = 1) -> str:
    """A signed difference of shares in percentage points."""
    return "–" if value is None else f"{100 * value:+.{digits}f} pt"
