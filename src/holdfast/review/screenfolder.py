"""The screen's output folder as review items: rows of `review.*`, reasons of `findings.jsonl`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from holdfast.conversation import Conversation, Message
from holdfast.errors import InputError
from holdfast.files import digest_file, digest_value, read_json
from holdfast.formats import Record, view
from holdfast.review.applying import records
from holdfast.review.importing import Imported, NewItem, import_items
from holdfast.review.store import Store

_LIMIT = 32 << 20


def import_screen(folder: str | Path, store: Store, *, name: str = "", reviewers: int = 1) -> Imported:
    """Import the rows that a screen sent to people; importing the same folder twice adds nothing.

    Args:
        folder: The screen's output folder.
        store: Where to.
        name: Shown to reviewers; the folder's name by default.
        reviewers: How many people must agree on a row.

    Raises:
        InputError: The folder has no review file, or the findings belong to another one.
    """
    root = Path(folder)
    review, findings, report = find_review(root), root / "findings.jsonl", root / "screen.json"
    for path in (findings, report):
        if not path.is_file():
            raise InputError("the screen did not finish", path=path, fix="screen the data again")
    digest = digest_value([digest_file(path) for path in (review, findings)])
    new = _rows(review, read_json(report), findings)
    return import_items(store, new, name=name or root.name, kind="screen", digest=digest, reviewers=reviewers)


def find_review(folder: Path) -> Path:
    """The review file of a screen's output folder (`review.jsonl`, `review.csv`, `review.parquet` ...).

    Raises:
        InputError: There is none.
    """
    found = sorted(p for p in folder.glob("review.*") if p.suffix not in (".html", ".csv.tmp"))
    if not found:
        raise InputError("no review file here", path=folder, fix="name the output folder of holdfast screen")
    return found[0]


def _rows(review: Path, report: Any, findings: Path) -> Iterator[NewItem]:
    try:
        lines = sorted(int(line) for line, verdict in report["flagged_lines"].items() if verdict == "review")
        source = str(report["source"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError("not a screen report", path=review.with_name("screen.json")) from None
    by_line = _findings(findings, set(lines))
    count = 0
    for count, record in enumerate(records(review), 1):
        if count > len(lines):
            raise InputError("more rows than screen.json sends to review", path=review, line=record.line)
        line = lines[count - 1]
        yield NewItem(_conversation(record, source, line), tuple(by_line.get(line, ())))
    if count < len(lines):
        raise InputError(
            f"{len(lines) - count} rows that screen.json sends to review are missing", path=review
        )


def _conversation(record: Record, source: str, line: int) -> Conversation:
    """The row as it is shown; one that cannot be read is shown as it stands."""
    conversation, _ = view(record, source, _LIMIT)
    if conversation is None:
        text = record.raw.decode("utf-8", "replace")
        conversation = Conversation((Message("user", text),), source, line, record.raw)
    return replace(conversation, line=line, raw=record.raw)


def _findings(path: Path, wanted: set[int]) -> dict[int, list[Mapping[str, Any]]]:
    """The findings that concern the wanted lines of the screened file, by line."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    with path.open("rb") as handle:
        for number, text in enumerate(handle, 1):
            try:
                finding = orjson.loads(text)
                lines = finding.pop("lines", None) or [finding["line"]]
                finding["code"], finding["score"], finding["reason"], finding["severity"]
            except (orjson.JSONDecodeError, KeyError, AttributeError):
                raise InputError("not a finding", path=path, line=number) from None
            for line in wanted.intersection(lines):
                found.setdefault(line, []).append(finding)
    return found
