"""Write constraints.txt: the exact version of every package in this environment.

    python scripts/lock.py

Run it in an environment made by `pip install -e ".[all,dev]"`. PyTorch is pinned without its
local version, so that pip takes the CPU build where that is on offer.
"""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

HEAD = """\
# Exact versions that the tests pass with; written by scripts/lock.py.
# Use: pip install -c constraints.txt -e ".[train]"
"""
# Installed for a benchmark or by the environment itself, not by an extra of this project.
LEFT_OUT = {"holdfast", "pip", "setuptools", "wheel"}
# What the CUDA build of PyTorch brings; it pins these itself, and the CPU build has none of them.
CUDA = ("nvidia-", "cuda-", "triton")


def main() -> None:
    """Write the file beside pyproject.toml."""
    pins = {
        dist.metadata["Name"].lower().replace("_", "-"): dist.version.split("+")[0]
        for dist in distributions()
    }
    lines = [
        f"{name}=={version}"
        for name, version in sorted(pins.items())
        if name not in LEFT_OUT and not name.startswith(CUDA)
    ]
    target = Path(__file__).resolve().parents[1] / "constraints.txt"
    target.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{target.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
