"""Conversations as OpenAI chat messages, the form that trainers and chat templates take."""

from __future__ import annotations

from typing import Any

import orjson

from holdfast.conversation import Conversation, Message

PREFIX = "holdfast_prefix"
"""Key of a row whose last answer begins with text that is seen but not trained on."""


def as_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """The turns as `{"role", "content", ...}` objects; of preference rows the chosen ones."""
    return [as_message(message) for message in conversation.messages]


def as_message(message: Message) -> dict[str, Any]:
    """One turn; weight, name and tool calls only where they say something."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.weight != 1.0:
        turn["weight"] = message.weight
    if message.name:
        turn["name"] = message.name
    if message.tool_calls:
        turn["tool_calls"] = [orjson.loads(call) for call in message.tool_calls]
    return turn


def tools_of(conversation: Conversation) -> list[dict[str, Any]] | None:
    """The tools that the row offers the model, or None."""
    tools = conversation.meta.get("tools")
    if isinstance(tools, str):
        tools = orjson.loads(tools)
    return list(tools) if tools else None


def is_wanted(conversation: Conversation) -> bool:
    """False for a labelled preference row whose answer is the undesired one."""
    label = conversation.meta.get("label", conversation.meta.get("kto_tag"))
    return not (conversation.format == "kto" and label is False)


def as_line(conversation: Conversation) -> bytes:
    """The row as one JSON line: its own bytes where it is in this form already."""
    raw = conversation.raw
    if conversation.format == "openai" and raw and b"\n" not in raw and not conversation.rejected:
        return raw
    row: dict[str, Any] = {"messages": as_messages(conversation)}
    tools = tools_of(conversation)
    if tools:
        row["tools"] = tools
    return orjson.dumps(row)
