"""The CSV round trip: the queue as a sheet, decisions filled in by hand, read back."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from holdfast.errors import InputError
from holdfast.files import atomic_writer, to_cell
from holdfast.review.applying import decided_rows
from holdfast.review.choice import Choice
from holdfast.review.decisions import decide
from holdfast.review.queries import Filter, ids, one
from holdfast.review.store import Store

COLUMNS = (
    "item",
    "key",
    "seen",
    "source",
    "line",
    "codes",
    "reasons",
    "conversation",
    "decision",
    "label",
    "why",
    "edited",
)
_CELL = 30_000  # spreadsheet programs cut longer cells


def write_sheet(store: Store, out: str | Path, which: Filter | None = None) -> int:
    """Write the items that match as a CSV with empty `decision`, `label`, `why`, `edited` cells.

    Cells that a spreadsheet would run as a formula begin with an apostrophe. Returns the number
    of items.
    """
    count = 0
    with store.read() as connection, atomic_writer(out) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="", write_through=True)
        writer = csv.DictWriter(text, COLUMNS, restval="")
        writer.writeheader()
        for number in ids(connection, which or Filter()):
            item = one(connection, number)
            turns = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in item["messages"])
            cells = {
                "item": str(item["id"]),
                "key": item["key"],
                "seen": item["seen"],
                "source": item["source"],
                "line": str(item["line"]),
                "codes": " ".join(dict.fromkeys(f["code"] for f in item["findings"])),
                "reasons": "; ".join(dict.fromkeys(f["reason"] for f in item["findings"])),
                "conversation": turns,
            }
            writer.writerow({name: to_cell(value[:_CELL]) for name, value in cells.items()})
            count += 1
        text.detach()
    return count


def read_sheet(store: Store, path: str | Path, who: str) -> int:
    """Decide every row of the sheet that has a `decision`; nothing is decided if one row is wrong.

    Raises:
        InputError: Names the first wrong line.
    """
    todo: list[tuple[int, str, int, Choice]] = []
    for line, row in decided_rows(path, ("item", "decision")):
        try:
            choice = Choice(row["decision"], row.get("label", ""), row.get("edited", ""), row.get("why", ""))
            todo.append((line, row.get("seen", ""), int(row["item"]), choice.checked()))
        except ValueError:
            raise InputError(f"'{row['item']}' is not an item number", path=path, line=line) from None
        except InputError as error:
            raise InputError(error.message, path=path, line=line, fix=error.fix) from None
    _check_items(store, path, todo)
    for _, seen, item, choice in todo:
        decide(store, item, who, choice, seen=seen or None)
    return len(todo)


def _check_items(store: Store, path: str | Path, todo: list[tuple[int, str, int, Choice]]) -> None:
    with store.read() as connection:
        for line, seen, item, _ in todo:
            try:
                known = one(connection, item)
            except InputError as error:
                raise InputError(error.message, path=path, line=line) from None
            if seen and seen != known["seen"]:
                raise InputError("the item is not what this sheet shows", path=path, line=line)
