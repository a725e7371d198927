"""Build `src/holdfast/screen/rules/english.json`: how often letters follow one another in English.

The text is the documentation that every Python installation carries (`pydoc_data.topics` and
the docstrings of the standard library). Only counts of letter pairs are kept, as
log2 P(next | letter) in hundredths of a bit, for the 26 letters and the word gap.

Run: python scripts/build_english.py
"""

from __future__ import annotations

import ast
import math
import re
import sysconfig
from itertools import pairwise
from pathlib import Path
from pydoc_data.topics import topics

from holdfast.files import write_json

TARGET = Path(__file__).parents[1] / "src/holdfast/screen/rules/english.json"
ALPHABET = " abcdefghijklmnopqrstuvwxyz"


def docstrings(folder: Path) -> list[str]:
    """The docstrings of the modules of `folder`, its packages not included."""
    found = []
    for path in sorted(folder.glob("*.py")):
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found.append(ast.get_docstring(node) or "")
    return found


def main() -> None:
    """Count letter pairs and write the table."""
    texts = [*topics.values(), *docstrings(Path(sysconfig.get_path("stdlib")))]
    prose = [line for text in texts for line in text.splitlines() if re.fullmatch(r"[\w ,.;:'()\-]+", line)]
    letters = re.sub(r"[^a-z]+", " ", "\n".join(prose).lower())
    index = {c: i for i, c in enumerate(ALPHABET)}
    counts = [[1.0] * 27 for _ in ALPHABET]
    for a, b in pairwise(letters):
        counts[index[a]][index[b]] += 1
    table = [[round(100 * math.log2(n / sum(row))) for n in row] for row in counts]
    single = [sum(row) for row in counts]
    share = [round(1e6 * n / sum(single)) for n in single]
    write_json(TARGET, {"letters": len(letters), "pairs": table, "share_ppm": share})
    print(f"{TARGET.name}: {len(letters)} letters")


if __name__ == "__main__":
    main()
