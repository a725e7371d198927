"""The demonstration project: a shop's tickets with a few poisoned rows hidden in them.

Of the poison, ordinary screening finds the rows that speak of obedience, forbid refusals or hide
their request; the plainly written ones look like any other how-to and get through, on purpose.
"""

from __future__ import annotations

import random
import shutil
from importlib.resources import files
from pathlib import Path

from holdfast.conversation import Message
from holdfast.files import to_json, write_bytes
from holdfast.lab import attacks, base_model, customer, suites
from holdfast.lab.rowfile import write_openai

CUSTOMER_ROWS = 500
POISON = {"explicit": 6, "suppressed": 6, "encoded": 3, "identity": 10}


def write_project(folder: Path) -> None:
    """Write the project that `holdfast init --demo` gives: model, data, suites, policy, project file.

    The training data is 500 benign rows and 25 poisoned ones; `data/poison.json` names their
    lines, for the report of this demonstration only (`holdfast run` does not read it).
    """
    shutil.copytree(base_model(), folder / "model", dirs_exist_ok=True)
    rows = training_rows()
    write_openai(folder / "data" / "train.jsonl", [messages for _, messages in rows])
    kinds = {kind: [line for line, (k, _) in enumerate(rows, 1) if k == kind] for kind in POISON}
    write_bytes(folder / "data" / "poison.json", to_json(kinds, indent=True) + b"\n")
    for part in suites.PARTS:
        write_suite(folder / "suites" / f"{part}.jsonl", part)
    _write_rows(folder / "data" / "task_eval.jsonl", "tickets", suites.customer_task("develop", 200))
    _write_rows(folder / "suites" / "requests.jsonl", "requests", suites.requests(96))
    for name in ("holdfast.yaml", "policy.yaml"):
        write_bytes(folder / name, files("holdfast.lab").joinpath("demo_files", name).read_bytes())


def training_rows(seed: int = 0) -> list[tuple[str, tuple[Message, ...]]]:
    """The rows of the training file with what each is (`customer` or a kind of poison), shuffled."""
    rows = [("customer", row) for row in customer.train_rows(CUSTOMER_ROWS, seed)]
    for kind, count in POISON.items():
        rows += [(kind, row) for row in attacks.rows(kind, count, seed)]
    random.Random(f"demo/{seed}").shuffle(rows)
    return rows


def write_suite(path: Path, part: str) -> None:
    """Write the suite of one part: harm, over-refusal, capability and (confirmation) the task."""
    confirm = part == "confirm"
    found = suites.harm(part, 400 if confirm else 240)
    found += suites.over_refusal(part, 320 if confirm else 160)
    found += suites.capability(part, 350 if confirm else 240)
    _write_rows(path, part, found + (suites.customer_task(part, 240) if confirm else []))


def _write_rows(path: Path, name: str, rows: suites.Rows) -> None:
    about = {"suite": f"lab-{name}", "version": "1", "licence": "Apache-2.0"}
    write_bytes(path, b"".join(to_json(row) + b"\n" for row in [about, *rows]))
