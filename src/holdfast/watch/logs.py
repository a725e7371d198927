"""Log formats: each row of a served model's log as request, answer and who it belongs to.

Known shapes: OpenAI-style request logs (`request`/`response` or `body` objects, stored
completions, batch results), vLLM request logs in JSON, LangSmith run exports (`inputs`,
`outputs`), Langfuse generation exports (`input`, `output`), and any fine-tuning format that
`holdfast.formats` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.conversation import Message, Role
from holdfast.formats import Record, view

_ROLES: dict[str, Role] = {"human": "user", "ai": "assistant", "developer": "system", "function": "tool"}
_KNOWN: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Logged:
    """One exchange of a log."""

    messages: tuple[Message, ...]
    answer: str
    finish: str = "stop"
    model: str = ""
    tenant: str = ""
    at: str = ""


def read_row(record: Record, source: str, max_bytes: int) -> Logged | None:
    """The exchange in one row of a log; None where there is none (an embedding, a failed call)."""
    value = record.value
    if value is None and len(record.raw) <= max_bytes:
        try:
            value = json.loads(record.raw)
        except (json.JSONDecodeError, UnicodeDecodeError):
            return None
    if isinstance(value, Mapping):
        found = next((f for shape in _SHAPES for f in shape(value)), None)
        if found is not None:
            return found
    conversation, _ = view(record, source, max_bytes)
    if conversation is None or not conversation.answer:
        return None
    return Logged(conversation.prompt, conversation.answer)


def _openai(row: Mapping[str, Any]) -> Iterator[Logged]:
    """`{"request": {...}, "response": {...}}`, also under `body`, `input`, `http`."""
    request = _inner(row.get("request") or row.get("body") or row)
    response = _inner(row.get("response") or row.get("output") or row.get("completion") or row)
    choices = response.get("choices") if isinstance(response, Mapping) else None
    if not isinstance(request, Mapping) or not isinstance(choices, list) or not choices:
        return
    choice = choices[0] if isinstance(choices[0], Mapping) else {}
    answer = _text(choice.get("message")) or _text(choice.get("text"))
    messages = turns(request.get("messages")) or turns(request.get("prompt"))
    if messages:
        model = str(response.get("model") or request.get("model") or "")
        finish = str(choice.get("finish_reason") or "stop")
        yield Logged(messages, answer, finish, model, str(request.get("user") or ""), _when(row))


def _vllm(row: Mapping[str, Any]) -> Iterator[Logged]:
    """`{"prompt": ..., "outputs": [{"text": ...}]}` as vLLM's request output has it."""
    outputs = row.get("outputs")
    if not isinstance(outputs, list) or not outputs or not isinstance(outputs[0], Mapping):
        return
    messages = turns(row.get("prompt")) or turns(row.get("messages"))
    if messages and isinstance(outputs[0].get("text"), str):
        finish = str(outputs[0].get("finish_reason") or "stop")
        yield Logged(messages, outputs[0]["text"], finish, str(row.get("model") or ""), "", _when(row))


def _langsmith(row: Mapping[str, Any]) -> Iterator[Logged]:
    """A LangSmith run: `inputs.messages` and `outputs.generations` or `outputs.messages`."""
    inputs, outputs = _json(row.get("inputs")), _json(row.get("outputs"))
    if not isinstance(inputs, Mapping) or not isinstance(outputs, Mapping):
        return
    messages = turns(inputs.get("messages")) or turns(inputs.get("input") or inputs.get("question"))
    answer = _generated(outputs)
    if messages and answer:
        extra = _json(row.get("extra"))
        invocation = extra.get("invocation_params") if isinstance(extra, Mapping) else None
        model = str(invocation.get("model") or "") if isinstance(invocation, Mapping) else ""
        yield Logged(messages, answer, "stop", model, str(row.get("session_id") or ""), _when(row))


def _langfuse(row: Mapping[str, Any]) -> Iterator[Logged]:
    """A Langfuse generation: `input` and `output`, as text, messages or objects."""
    if "input" not in row or "output" not in row:
        return
    asked, said = _json(row["input"]), _json(row["output"])
    messages = turns(asked.get("messages") if isinstance(asked, Mapping) else asked)
    answer = _text(said) or _text(said.get("content") if isinstance(said, Mapping) else None)
    if messages and answer:
        tenant = str(row.get("userId") or row.get("user_id") or "")
        yield Logged(messages, answer, "stop", str(row.get("model") or ""), tenant, _when(row))


_SHAPES = (_openai, _vllm, _langsmith, _langfuse)


def turns(value: Any) -> tuple[Message, ...]:
    """Messages in any of the usual spellings; empty where there are none."""
    value = _json(value)
    if isinstance(value, str):
        return (Message("user", value),) if value else ()
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list):
        return ()
    found = []
    for entry in value:
        if isinstance(entry, str):
            found.append(Message("user", entry))
        elif isinstance(entry, Mapping):
            kwargs = entry.get("kwargs")
            entry = entry if not isinstance(kwargs, Mapping) else kwargs
            role = str(entry.get("role") or entry.get("type") or "user").lower()
            text = _text(entry)
            known = _ROLES.get(role, role)
            found.append(Message(known if known in _KNOWN else "user", text))
    return tuple(found)


def _generated(outputs: Mapping[str, Any]) -> str:
    """The answer in a LangSmith run's outputs."""
    nested = outputs.get("generations")
    while isinstance(nested, list) and nested:
        nested = nested[0]
    if isinstance(nested, Mapping):
        return _text(nested.get("text")) or _text(nested.get("message"))
    messages = turns(outputs.get("messages"))
    return messages[-1].content if messages else _text(outputs.get("output") or outputs.get("answer"))


def _text(value: Any) -> str:
    """Text in a string, a message, or a list of content parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        kwargs = value.get("kwargs")
        inner = kwargs if isinstance(kwargs, Mapping) else value
        return _text(inner.get("content") if "content" in inner else inner.get("text"))
    if isinstance(value, list):
        return "\n".join(_text(part) for part in value)
    return ""


def _inner(value: Any) -> Any:
    value = _json(value)
    return _json(value["body"]) if isinstance(value, Mapping) and "body" in value else value


def _json(value: Any) -> Any:
    """A value that an export wrote as JSON text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _when(row: Mapping[str, Any]) -> str:
    names = ("timestamp", "start_time", "startTime", "created_at", "at")
    return next((str(row[name])[:40] for name in names if row.get(name)), "")
