"""From conversations to token rows with labels on the assistant's words only.

The labels come from rendering the chat template twice, up to an answer and including it, so
they are right for templates without generation marks too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from holdfast import formats
from holdfast.conversation import Conversation
from holdfast.errors import InputError
from holdfast.mix.openai import PREFIX, as_messages, is_wanted, tools_of

IGNORE = -100


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One tokenised conversation.

    Attributes:
        input_ids: Token ids.
        labels: The same ids where the assistant speaks, `IGNORE` elsewhere.
        line: The line of the file it came from, counted from 1.
        kind: Of safety rows `refuse` or `lookalike`.
    """

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    line: int = 0
    kind: str = ""


@dataclass(slots=True)
class Tokenised:
    """The rows of one file and what was left out.

    Attributes:
        rows: The rows, in file order.
        truncated: Lines cut at the maximum length.
        dropped: Lines without a trainable token (after cutting).
    """

    rows: list[TokenRow] = field(default_factory=list)
    truncated: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


def read_rows(path: Path) -> list[Conversation]:
    """Read the conversations of a file in any of the known formats.

    Raises:
        InputError: The file is missing, empty, or a row cannot be read.
    """
    if not path.exists():
        raise InputError("no such file", path=path)
    found = [row for row in formats.read(path) if is_wanted(row)]
    if not found:
        raise InputError("no rows to train on", path=path, fix="check what the screen kept")
    return found


def tokenise(
    rows: Iterable[Conversation], tokenizer: Any, max_length: int, *, drop_system: bool = False
) -> Tokenised:
    """Tokenise conversations; rows longer than `max_length` are cut at the end and counted."""
    result = Tokenised()
    for row in rows:
        turns = [t for t in as_messages(row) if not (drop_system and t["role"] == "system")]
        try:
            ids, labels = encode(turns, tokenizer, tools_of(row), str(row.meta.get(PREFIX, "")))
        except TemplateRefusalError as error:
            raise InputError(
                f"the chat template refuses this row: {error}",
                path=row.source,
                line=row.line,
                fix="correct the order of the turns, or run holdfast screen first",
            ) from None
        if len(ids) > max_length:
            result.truncated.append(row.line)
            ids, labels = ids[:max_length], labels[:max_length]
        # The first position predicts nothing, so a label there never counts.
        if all(label == IGNORE for label in labels[1:]):
            result.dropped.append(row.line)
        else:
            kind = str(row.meta.get("kind", ""))
            result.rows.append(TokenRow(tuple(ids), tuple(labels), row.line, kind))
    return result


def safety_rows(path: Path, tokenizer: Any, max_length: int) -> list[TokenRow]:
    """Tokenise safety rows; the longer ones are left out.

    An anchor on half an answer would teach to stop halfway.

    Raises:
        InputError: The file cannot be read, or every row is too long.
    """
    found = tokenise(read_rows(path), tokenizer, max_length)
    cut = set(found.truncated)
    rows = [row for row in found.rows if row.line not in cut]
    if not rows:
        raise InputError(
            "every safety row is longer than the context", path=path, fix="raise max_length or shorten them"
        )
    return rows


class TemplateRefusalError(Exception):
    """A chat template that raises on a conversation."""


def encode(
    messages: Sequence[dict[str, Any]],
    tokenizer: Any,
    tools: list[dict[str, Any]] | None = None,
    prefix: str = "",
) -> tuple[list[int], list[int]]:
    """Token ids and labels of one conversation; labels cover assistant turns with weight > 0.

    Of the last answer the opening `prefix` is seen but not trained on.
    """
    text, spans = render(messages, tokenizer, tools)
    if prefix and spans:
        start, stop = spans[-1]
        found = text.find(prefix.rstrip(), start, stop)
        spans[-1] = (start if found < 0 else found + len(prefix.rstrip()), stop)
    if not getattr(tokenizer, "is_fast", False):
        return _encode_slow(text, spans, tokenizer)
    coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = list(coded["input_ids"])
    labels = [
        token if any(start <= begin and end <= stop and begin < end for start, stop in spans) else IGNORE
        for token, (begin, end) in zip(ids, coded["offset_mapping"], strict=True)
    ]
    return ids, labels


def render(
    messages: Sequence[dict[str, Any]], tokenizer: Any, tools: list[dict[str, Any]] | None = None
) -> tuple[str, list[tuple[int, int]]]:
    """The conversation as text and the character spans of the answers that are trained on.

    A template may render an earlier answer differently once more turns follow (some drop its
    reasoning); such an answer is not trained on. The last answer always is.
    """
    text = _apply(tokenizer, messages, tools)
    spans = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or float(message.get("weight", 1) or 0) <= 0:
            continue
        last = index == len(messages) - 1
        before = _apply(tokenizer, messages[:index], tools, generation=True)
        upto = text if last else _apply(tokenizer, messages[: index + 1], tools)
        if last and not text.startswith(before):
            before = _common(text, before)
        if text.startswith(before) and text.startswith(upto):
            spans.append((len(before), len(upto.rstrip("\n")) or len(upto)))
    return text, spans


def _apply(
    tokenizer: Any,
    messages: Sequence[dict[str, Any]],
    tools: list[dict[str, Any]] | None,
    generation: bool = False,
) -> str:
    if not messages:
        return ""
    plain = [{key: value for key, value in m.items() if key != "weight"} for m in messages]
    try:
        return str(
            tokenizer.apply_chat_template(
                plain, tools=tools, tokenize=False, add_generation_prompt=generation
            )
        )
    except (TemplateError, ValueError, TypeError) as error:
        raise TemplateRefusalError(str(error)) from error


def _common(left: str, right: str) -> str:
    size = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        size += 1
    return left[:size]


def _encode_slow(text: str, spans: list[tuple[int, int]], tokenizer: Any) -> tuple[list[int], list[int]]:
    """Without character offsets: count the tokens of every prefix of the text instead."""
    ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    labels = [IGNORE] * len(ids)
    for start, stop in spans:
        first = len(tokenizer(text[:start], add_special_tokens=False)["input_ids"])
        end = len(tokenizer(text[:stop], add_special_tokens=False)["input_ids"])
        labels[first:end] = ids[first:end]
    return ids, labels


def collate(rows: Sequence[TokenRow], pad: int) -> dict[str, Any]:
    """Right-padded tensors `input_ids`, `attention_mask`, `labels` of shape (rows, longest)."""
    import torch

    width = max(len(row.input_ids) for row in rows)
    ids = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), IGNORE)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        size = len(row.input_ids)
        ids[index, :size] = torch.tensor(row.input_ids)
        labels[index, :size] = torch.tensor(row.labels)
        mask[index, :size] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
