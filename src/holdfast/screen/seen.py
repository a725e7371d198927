"""A row as the rules read it: tool calls and tool definitions are text too.

Models are trained on the arguments of their calls as on any answer, and chat templates write the
definitions of tools into the system turn. Rules look at the text of turns, so here both become that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from holdfast.conversation import Conversation, Message

_TOOLS = ("tools", "functions")
_NAMES = frozenset({"id", "type", "index", "tool_use_id", "toolUseId"})


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and values, those of a key that is given twice too."""


def texts(value: Any) -> Iterator[str]:
    """The strings and numbers in nested lists and objects, in order; JSON in a string is looked into.

    Of an object's keys those that are prose (hold a space) count, and its ids do not.
    """
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            inner = _parsed(item)
            if inner is None:
                yield item
            else:
                stack.append(inner)
        elif isinstance(item, dict | _Pairs):
            for key, part in reversed(item.items() if isinstance(item, dict) else item):
                if key not in _NAMES or not isinstance(part, str):
                    stack.append(part)
                if isinstance(key, str) and " " in key:
                    stack.append(key)
        elif isinstance(item, list | tuple):
            stack.extend(reversed(item))
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield str(item)


def with_calls(row: Conversation) -> Conversation:
    """The row with what its tool calls say at the end of their turns; the calls stay beside it."""
    if not any(message.tool_calls for message in row.messages + row.rejected):
        return row
    return replace(
        row, messages=tuple(map(_spoken, row.messages)), rejected=tuple(map(_spoken, row.rejected))
    )


def with_tools(row: Conversation) -> tuple[Conversation, int]:
    """The row with the definitions of its tools as system text.

    Returns:
        The row, and how many turns were put before its own (0 or 1).
    """
    said = [text for key in _TOOLS if row.meta.get(key) for text in texts(row.meta[key]) if " " in text]
    if not said:
        return row, 0
    first = row.messages[0] if row.messages else None
    if first is not None and first.role == "system":
        first = replace(first, content="\n".join([first.content, *said]))
        return replace(row, messages=(first, *row.messages[1:])), 0
    return replace(row, messages=(Message("system", "\n".join(said)), *row.messages)), 1


def unwanted(row: Conversation) -> bool:
    """Whether the row ends with an answer that is labelled as not wanted (KTO) and has no other last one."""
    return bool(row.rejected) and (not row.messages or row.messages[-1].role != "assistant")


def _spoken(message: Message) -> Message:
    if not message.tool_calls:
        return message
    said = [text for call in message.tool_calls for text in texts(call)]
    text = "\n".join([message.content, *said] if message.content else said)
    # JSON may spell half a surrogate pair, which no pattern takes.
    return replace(message, content=text.encode("utf-8", "replace").decode())


def _parsed(text: str) -> Any:
    """The list or object that a string is as JSON, or None."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
