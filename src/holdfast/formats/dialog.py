"""Message lists in the dialects of trainers and services, made into `Message` turns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from holdfast.conversation import Message, Role
from holdfast.formats.problems import BAD_ROLE, NOT_TEXT, ShapeError

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "chatbot": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
    "tool_response": "tool",
    "function_response": "tool",
    "function_call": "assistant",
    "tool_call": "assistant",
}
_PLAIN_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_RESULTS = ("functionResponse", "toolResult", "content")
_CALL_ROLES = frozenset({"function_call", "tool_call"})
_DIALOGUE_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")

Note = Callable[[str, str], None]
"""Called with a reader code and words for something odd that does not stop the reading."""


def turns(value: Any, note: Note) -> tuple[Message, ...]:
    """Read a list of messages (OpenAI `role`/`content` or ShareGPT `from`/`value`).

    Raises:
        ShapeError: It is not a list of messages.
    """
    if isinstance(value, Mapping):
        value = _rows_of_columns(value)
    if not isinstance(value, list) or not value:
        raise ShapeError("the messages are not a list with at least one message")
    return tuple([turn(item, note) for item in value])


def turn(item: Any, note: Note) -> Message:
    """Read one message.

    Raises:
        ShapeError: It has no known role or no readable content.
    """
    try:  # nearly all messages are just this
        role, content = _PLAIN_ROLES[item["role"]], item["content"]
        if len(item) == 2 and type(content) is str:
            return Message(role, content)
    except (KeyError, TypeError):
        pass
    if not isinstance(item, dict):
        raise ShapeError("a message is not an object")
    name = item.get("role")
    if name is None:
        name = item.get("from")
    known = ROLES.get(name.lower()) if isinstance(name, str) else None
    if known is None:
        raise ShapeError(f"a message has the unknown role {str(name)[:40]!r}", BAD_ROLE)
    content = item.get("content")
    if content is None:
        content = item.get("value", item.get("parts"))
    role = known
    return _full_turn(item, role, str(name), content, note)


def _full_turn(item: dict[str, Any], role: Role, name: str, content: Any, note: Note) -> Message:
    text = content_text(content if content is not None else item.get("refusal"), note)
    for key in ("reasoning_content", "reasoning", "thinking"):
        thought = item.get(key)
        if isinstance(thought, str) and thought:
            text = f"{thought}\n\n{text}"
    calls = _calls(item, content)
    if name in _CALL_ROLES:
        calls, text = (*calls, text), ""
    speaker = item.get("name")
    return Message(role, text, _weight(item), speaker if isinstance(speaker, str) else None, calls)


def dialogue(text: str) -> tuple[Message, ...]:
    """Read a plain-text dialogue with `Human:` and `Assistant:` turns.

    A text without such turns is one assistant message.
    """
    parts = _DIALOGUE_TURN.split(text)
    if len(parts) < 3 or parts[0].strip():
        return (Message("assistant", text),)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return tuple(Message("user" if who == "Human" else "assistant", said) for who, said in pairs)


def as_json(value: Any) -> str:
    """A tool call or definition as JSON text; text stays as it is."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # nested deeper than it writes
        return json.dumps(value, default=str)


def content_text(content: Any, note: Note) -> str:
    """The text of a message: a string, a part, or a list of parts.

    Raises:
        ShapeError: It is none of these.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part(part, note) for part in content)
    if isinstance(content, dict):
        return _part(content, note)
    raise ShapeError(f"the content of a message is a {type(content).__name__}, not text")


def _part(part: Any, note: Note) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        for key in ("text", "value", "content", "refusal", "thinking"):
            text = part.get(key)
            if isinstance(text, str):
                return text
        if _is_call(part):
            return ""
        for key in _RESULTS:
            if part.get(key):
                return as_json(part[key])
        note(NOT_TEXT, f"a part of type {str(part.get('type'))[:40]!r} is not text and was not looked at")
        return ""
    raise ShapeError("a content part is neither text nor an object")


def _is_call(part: Any) -> bool:
    """Whether a content part is a tool call, as Claude, Bedrock and Gemini have them."""
    if not isinstance(part, dict):
        return False
    return part.get("type") == "tool_use" or bool(part.get("functionCall") or part.get("toolUse"))


def _calls(item: dict[str, Any], content: Any) -> tuple[str, ...]:
    calls = item.get("tool_calls") or ()
    if item.get("function_call"):
        calls = [*calls, item["function_call"]]
    if isinstance(content, list):
        calls = [*calls, *filter(_is_call, content)]
    if not isinstance(calls, (list, tuple)):
        raise ShapeError("tool_calls is not a list")
    return tuple(as_json(call) for call in calls)


def _weight(item: dict[str, Any]) -> float:
    for key in ("weight", "loss_weight", "train"):
        value = item.get(key)
        if isinstance(value, (int, float)):
            return float(value)
    return 1.0


def _rows_of_columns(value: Mapping[str, Any]) -> Any:
    """Undo the column layout in which some data folders keep lists of messages."""
    columns = {key: column for key, column in value.items() if isinstance(column, list)}
    if not columns or len(columns) != len(value) or len({len(c) for c in columns.values()}) != 1:
        return [value]
    count = len(next(iter(columns.values())))
    return [{key: column[i] for key, column in columns.items()} for i in range(count)]
