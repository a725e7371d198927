"""No room imports a later one, and the check itself sees it when one does."""

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("import_graph", ROOT / "scripts" / "import_graph.py")
assert spec is not None and spec.loader is not None
import_graph = importlib.util.module_from_spec(spec)
spec.loader.exec_module(import_graph)


def test_no_room_imports_a_later_one() -> None:
    assert import_graph.violations(import_graph.graph()) == []


def test_every_module_has_a_place() -> None:
    assert import_graph.unknown_modules() == []


def test_the_check_sees_a_violation(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from holdfast.audit import statistics\n    import holdfast.lab.world\n")
    edges = import_graph.graph()
    edges["formats"] |= import_graph.imports(bad)
    assert import_graph.violations(edges) == [
        "formats imports the later room audit",
        "formats imports the later room lab",
        "formats imports lab",
    ]


def test_the_picture_in_the_docs_is_current() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = text.split(import_graph.BEGIN)[1].split(import_graph.END)[0].strip()
    assert picture == import_graph.mermaid(import_graph.graph()), (
        "run: python scripts/import_graph.py --write"
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['holdfast', '--help']\n"
        "from holdfast.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'numpy', 'scipy', 'pydantic', 'fastapi'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("HEAVY []")
