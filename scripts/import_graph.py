"""Read the imports of every room and prove that no room imports a later one.

    python scripts/import_graph.py            # print the graph; exit 1 if a room imports a later one
    python scripts/import_graph.py --write    # and put the picture into docs/architecture.md

Imports inside functions and under TYPE_CHECKING count too: a late import is still a dependency.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "holdfast"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- import graph: written by scripts/import_graph.py -->", "<!-- end of import graph -->"

# The one order of the house; a room may import only rooms that stand before it.
ORDER = (
    *("errors", "files", "hazards", "conversation", "yamlfile", "html", "rooms", "stages"),
    *("formats", "models", "judges", "suites", "screen", "review", "mix", "train"),
    *("audit", "repair", "gate", "card", "watch", "project", "pipeline", "lab", "cli"),
)
FOUNDATION = set(ORDER[: ORDER.index("formats")])
# `lab` may use everything, and nothing but the command line knows it.
LAB_USERS = {"lab", "cli"}


def room_of(module: str) -> str | None:
    """The room a dotted name belongs to; None for the package itself and foreign modules."""
    parts = module.split(".")
    if parts[0] != "holdfast" or len(parts) < 2:
        return None
    return parts[1] if parts[1] in ORDER else None


def imports(path: Path) -> set[str]:
    """The rooms that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {room for name in names if (room := room_of(name)) is not None}


def graph() -> dict[str, set[str]]:
    """Room -> rooms it imports, itself left out."""
    edges: dict[str, set[str]] = {room: set() for room in ORDER}
    for path in sorted(PACKAGE.rglob("*.py")):
        first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if first in edges:
            edges[first] |= imports(path) - {first}
    return edges


def violations(edges: dict[str, set[str]]) -> list[str]:
    """Every import that points against the flow of the rooms."""
    wrong = []
    for room, used in edges.items():
        for other in sorted(used):
            if ORDER.index(other) > ORDER.index(room):
                wrong.append(f"{room} imports the later room {other}")
            if other == "lab" and room not in LAB_USERS:
                wrong.append(f"{room} imports lab")
    return wrong


def unknown_modules() -> list[str]:
    """Modules and packages of `holdfast` that have no place in the order."""
    names = {
        p.name.removesuffix(".py")
        for p in PACKAGE.iterdir()
        if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    return sorted(names - set(ORDER) - {"__init__", "__main__"})


def mermaid(edges: dict[str, set[str]]) -> str:
    """The graph as a Mermaid picture; the foundation, which all use, is left out."""
    lines = ["```mermaid", "flowchart LR"]
    for room in ORDER:
        for other in sorted(edges[room] - FOUNDATION, key=ORDER.index):
            if room not in FOUNDATION and room != "cli":
                lines.append(f"    {other} --> {room}")
    return "\n".join([*lines, "```"])


def main() -> int:
    """Print or write the graph and report violations."""
    edges = graph()
    if "--write" in sys.argv:
        text = PAGE.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{mermaid(edges)}\n{END}{after}", encoding="utf-8")
    else:
        for room, used in edges.items():
            print(f"{room:14} {' '.join(sorted(used, key=ORDER.index))}")
    wrong = violations(edges) + [f"{name} has no place in the order" for name in unknown_modules()]
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
