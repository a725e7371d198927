"""The blinded answers of an audit as review items, and their labels back into the audit's CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from holdfast.conversation import Conversation, chat
from holdfast.errors import InputError
from holdfast.files import digest_file, from_cell, to_cell, write_text
from holdfast.review.choice import ANSWERS
from holdfast.review.importing import Imported, NewItem, import_items
from holdfast.review.schema import items
from holdfast.review.screenfolder import import_screen
from holdfast.review.store import Store
from holdfast.review.texts import row_key

_NEEDED = ("item", "question", "request", "answer", "label")
_CODE = "AUDIT"


def import_file(source: str | Path, store: Store, *, name: str = "", reviewers: int = 1) -> Imported:
    """Import a screen's output folder or an audit's adjudication CSV, whichever `source` is.

    Raises:
        InputError: It is neither.
    """
    path = Path(source)
    if path.is_dir():
        return import_screen(path, store, name=name, reviewers=reviewers)
    return import_adjudication(path, store, name=name, reviewers=reviewers)


def import_adjudication(path: Path, store: Store, *, name: str = "", reviewers: int = 1) -> Imported:
    """Import the answers that an audit asks people to label; they stay blinded.

    Raises:
        InputError: Not a CSV that `holdfast audit` wrote for labelling.
    """
    new = [_item(path, line, row) for line, row in _rows(path)]
    digest = digest_file(path)
    return import_items(store, new, name=name or path.stem, kind="audit", digest=digest, reviewers=reviewers)


def write_labels(store: Store, blank: str | Path, out: str | Path) -> int:
    """Fill the audit's CSV with the decided labels, for `holdfast audit` to read back.

    Args:
        store: Where the items were decided.
        blank: The CSV as the audit wrote it.
        out: The CSV to write.

    Returns:
        How many labels were filled in; undecided rows keep an empty label.
    """
    path, filled = Path(blank), 0
    with store.read() as connection:
        query = select(items.c.key, items.c.label).where(items.c.kind == "audit", items.c.state == "decided")
        labels = dict(connection.execute(query).tuples().all())
    text = io.StringIO()
    rows = [row for _, row in _rows(path)]
    writer = csv.DictWriter(text, rows[0].keys() if rows else _NEEDED, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        label = labels.get(row_key(_raw(row)))
        if label in ANSWERS:
            row["label"], filled = label, filled + 1
        writer.writerow({name: to_cell(value) for name, value in row.items()})
    write_text(out, text.getvalue())
    return filled


def _item(path: Path, line: int, row: dict[str, str]) -> NewItem:
    messages = chat(("user", row["request"]), ("assistant", row["answer"]))
    finding = {"code": _CODE, "severity": "review", "score": 1.0, "reason": row["question"]}
    return NewItem(Conversation(messages, path.name, line, _raw(row)), (finding,))


def _raw(row: dict[str, str]) -> bytes:
    return f"{row['item']}\n{row['request']}\n{row['answer']}".encode("utf-8", "surrogatepass")


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"no column '{missing[0]}': not an adjudication file", path=path, line=1)
            for row in reader:
                yield reader.line_num, {key: from_cell(value or "") for key, value in row.items() if key}
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"cannot read CSV: {error}", path=path) from None
