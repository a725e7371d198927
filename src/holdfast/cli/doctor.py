"""`holdfast doctor`: what is installed, what is missing, what this machine can do."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from holdfast import __version__
from holdfast.cli.console import out, print_json

app = typer.Typer(add_completion=False)

# Extra -> the packages it needs first; the rest comes with them.
EXTRAS: dict[str, tuple[str, ...]] = {
    "train": ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors"),
    "scale": ("pyarrow", "zstandard"),
    "remote": ("aiohttp",),
    "server": ("fastapi", "uvicorn", "sqlalchemy", "alembic", "argon2-cffi"),
    "qlora": ("bitsandbytes",),
    "ray": ("ray",),
    "sign": ("cryptography",),
    "vllm": ("vllm",),
    "inspect": ("inspect-ai",),
}


@app.command()
def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Say what is installed, what is missing and how to get it, and what this machine can do."""
    report = inspect()
    if json:
        print_json(report)
        return
    out.print(f"holdfast {report['holdfast']}, Python {report['python']}, {report['cores']} cores")
    out.print(f"accelerator: {report['accelerator']}")
    out.print(f"free disk here: {report['free_gb']} GB")
    for extra, packages in report["extras"].items():
        missing = [name for name, found in packages.items() if found is None]
        if missing:
            line = f"\\[{extra}] missing {', '.join(missing)}: pip install 'holdfast\\[{extra}]'"
            out.print(f"[yellow]-[/] {line}")
        else:
            have = ", ".join(f"{name} {found}" for name, found in packages.items())
            out.print(f"[green]+[/] \\[{extra}] {have}")


def inspect() -> dict[str, Any]:
    """The facts, as plain data."""
    return {
        "holdfast": __version__,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "accelerator": _accelerator(),
        "free_gb": shutil.disk_usage(".").free >> 30,
        "extras": {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _accelerator() -> str:
    if _version("torch") is None:
        return "unknown (torch is not installed)"
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    if torch.backends.mps.is_available():
        return "Apple MPS"
    return "none; models run on the CPU"
