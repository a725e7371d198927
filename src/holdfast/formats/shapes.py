"""One row's value to one conversation: which of the known row shapes is it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from holdfast.conversation import Message
from holdfast.formats.dialog import Note, as_json, content_text, dialogue, turn, turns
from holdfast.formats.problems import AMBIGUOUS, ShapeError
from holdfast.formats.templates import templated

Read = tuple[str, tuple[Message, ...], tuple[Message, ...], frozenset[str]]
"""Format name, messages, rejected messages, keys of the row that were used."""

_ANSWER_KEYS = ("completion", "response", "output", "answer", "target")
_PROMPT_KEYS = ("prompt", "question", "query", "instruction", "goal", "text_input", "input")
_SYSTEM_KEYS = ("system", "system_prompt", "system_message", "systemInstruction", "system_instruction")
_NO_KEYS: frozenset[str] = frozenset()
_MESSAGES = frozenset({"messages"})


def recognise(value: Any, note: Note) -> tuple[str, tuple[Message, ...], tuple[Message, ...], dict[str, Any]]:
    """Read a row's value.

    Args:
        value: The parsed row.
        note: Receives what is odd but readable.

    Returns:
        Format name, messages, rejected messages, and the fields that are not turns.

    Raises:
        ShapeError: No known shape fits.
    """
    if isinstance(value, list):
        return "messages", turns(value, note), (), {}
    if not isinstance(value, dict):
        raise ShapeError(f"the row is a {type(value).__name__}, not an object")
    found = _first_shape(value, note)
    if found is None:  # some files capitalise their columns
        value = {str(key).lower(): item for key, item in value.items()}
        found = _first_shape(value, note)
    if found is not None:
        name, messages, rejected, used = found
        if len(value) == len(used) and name != "openai-preference":
            return name, messages, rejected, {}
        name, messages, rejected, used = _with_system(value, found, note)
        _warn_of_second_shape(value, name, messages, used, note)
        return name, messages, rejected, _rest(value, used)
    keys = ", ".join(str(k)[:30] for k in list(value)[:8]) or "none"
    raise ShapeError(f"no known row shape has these fields: {keys}")


def _first_shape(row: dict[str, Any], note: Note) -> Read | None:
    for fits, read in _SHAPES:
        if fits(row):
            return read(row, note)
    return None


def _preference(row: dict[str, Any], note: Note) -> Read:
    prompt: tuple[Message, ...] = ()
    used = {"chosen", "rejected"}
    for key in ("prompt", "question", "instruction", "conversations", "messages"):
        if row.get(key):
            prompt, used = _side(row[key], note, "user"), used | {key}
            break
    if row.get("input") and isinstance(row["input"], str) and "instruction" in used and prompt:
        last = prompt[-1]
        prompt = (*prompt[:-1], Message(last.role, f"{last.content}\n{row['input']}"))
    good, bad = (_side(row[key], note, "assistant") for key in ("chosen", "rejected"))
    return "preference", _after(prompt, good), _after(prompt, bad), frozenset(used)


def _openai_preference(row: dict[str, Any], note: Note) -> Read:
    before = row["input"]
    given = before.get("messages") if isinstance(before, dict) else before
    prompt = turns(given, note)
    good, bad = (turns(row[key], note) for key in ("preferred_output", "non_preferred_output"))
    used = frozenset({"input", "preferred_output", "non_preferred_output"})
    return "openai-preference", prompt + good, prompt + bad, used


def _messages(row: dict[str, Any], note: Note) -> Read:
    return _labelled(row, ("openai", turns(row["messages"], note), (), _MESSAGES))


def _sharegpt(row: dict[str, Any], note: Note) -> Read:
    return "sharegpt", turns(row["conversations"], note), (), frozenset({"conversations"})


def _gemini(row: dict[str, Any], note: Note) -> Read:
    return "gemini", turns(row["contents"], note), (), frozenset({"contents"})


def _completion(row: dict[str, Any], note: Note) -> Read:
    prompt = _side(row["prompt"], note, "user")
    answer = _side(row["completion"], note, "assistant")
    used = frozenset({"prompt", "completion"})
    return _labelled(row, ("prompt-completion", prompt + answer, (), used))


def _segments(row: dict[str, Any], note: Note) -> Read:
    """Axolotl's template-free rows: pieces of one text, `label` says which are trained on."""
    pieces = row["segments"]
    if not all(isinstance(p, dict) and isinstance(p.get("text"), str) for p in pieces):
        raise ShapeError("segments is not a list of pieces with text")
    messages = templated("".join(piece["text"] for piece in pieces))
    if messages is None:
        messages = tuple(Message("assistant" if p.get("label") else "user", p["text"]) for p in pieces)
    return "segments", messages, (), frozenset({"segments"})


def _instruction(row: dict[str, Any], note: Note) -> Read:
    """Alpaca (`instruction, input, output`), Dolly (`context, response`), question and answer."""
    ask = next(key for key in _PROMPT_KEYS if isinstance(row.get(key), str))
    reply = next(key for key in _ANSWER_KEYS if isinstance(row.get(key), str))
    used = {ask, reply}
    prompt = row[ask]
    context = next((k for k in ("input", "context") if k != ask and isinstance(row.get(k), str)), None)
    if context is not None:
        # Stays in `meta` too: rules look for instructions hidden in it.
        prompt = f"{prompt}\n{row[context]}" if row[context] else prompt
    messages: list[Message] = []
    if isinstance(row.get("history"), list):
        used.add("history")
        messages.extend(_history(row["history"]))
    messages += [Message("user", prompt), Message("assistant", row[reply])]
    name = "dolly" if context == "context" and ask == "instruction" else "alpaca"
    if ask != "instruction":
        name = "question-answer"
    return name, tuple(messages), (), frozenset(used)


def _text(row: dict[str, Any], note: Note) -> Read:
    text = row["text"]
    return "text", templated(text) or dialogue(text), (), frozenset({"text"})


def _prompt(row: dict[str, Any], note: Note) -> Read:
    """A prompt alone, as reinforcement fine-tuning takes it."""
    return "prompt", _side(row["prompt"], note, "user"), (), frozenset({"prompt"})


def _is_text_pair(row: dict[str, Any]) -> bool:
    return any(isinstance(row.get(k), str) for k in _PROMPT_KEYS) and any(
        isinstance(row.get(k), str) for k in _ANSWER_KEYS
    )


_SHAPES: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any], Note], Read]], ...] = (
    (lambda r: "chosen" in r and "rejected" in r, _preference),
    (lambda r: bool(r.get("messages")), _messages),
    (lambda r: bool(r.get("conversations")), _sharegpt),
    (lambda r: bool(r.get("contents")) and isinstance(r["contents"], list), _gemini),
    (lambda r: bool(r.get("segments")) and isinstance(r["segments"], list), _segments),
    (lambda r: "preferred_output" in r and "non_preferred_output" in r and "input" in r, _openai_preference),
    (lambda r: r.get("prompt") is not None and r.get("completion") is not None, _completion),
    (_is_text_pair, _instruction),
    (lambda r: isinstance(r.get("text"), str), _text),
    (lambda r: isinstance(r.get("prompt"), (str, list)), _prompt),
)


def _side(value: Any, note: Note, role: str) -> tuple[Message, ...]:
    """A prompt or a continuation: text, one message, or a list of messages."""
    if isinstance(value, str):
        if "\n\nHuman:" in value and role == "assistant":
            return dialogue(value)
        return (Message("user" if role == "user" else "assistant", value),)
    if isinstance(value, dict) and isinstance(value.get("role") or value.get("from"), str):
        return (turn(value, note),)
    return turns(value, note)


def _after(prompt: tuple[Message, ...], side: tuple[Message, ...]) -> tuple[Message, ...]:
    """A continuation after its prompt; many files repeat the prompt in the continuation."""
    if len(side) > 1:
        system = tuple(m for m in prompt[:1] if m.role == "system" and side[0].role != "system")
        return system + side
    return prompt + side


def _with_system(row: dict[str, Any], read: Read, note: Note) -> Read:
    """Put the system text that stands beside the turns before them."""
    name, messages, rejected, used = read
    key = next(
        (key for key in _SYSTEM_KEYS if key not in used and isinstance(row.get(key), str | list | dict)), None
    )
    if key is None:
        return read
    given = row[key]
    try:
        text = content_text(given.get("parts", given) if isinstance(given, dict) else given, note)
    except ShapeError:
        return read
    own = messages[0].content if messages and messages[0].role == "system" else ""
    if own and text.strip() not in own:
        note(
            AMBIGUOUS,
            f"the row has a system turn and another text in {key!r}: trainers differ in which they use",
        )
        return read
    if text and not own:
        system = Message("system", text)
        messages, rejected = (system, *messages), (system, *rejected) if rejected else ()
        name = "anthropic" if name == "openai" else name
    return name, messages, rejected, used | {key}


def _labelled(row: dict[str, Any], read: Read) -> Read:
    """KTO: an answer with the label false is the rejected one, and there is none that is wanted."""
    _, messages, _, used = read
    label = _kto_label(row)
    if not isinstance(label, bool):
        return read
    answered = [index for index, message in enumerate(messages) if message.role == "assistant"]
    if label or not answered or not answered[-1]:
        return "kto", messages, (), used
    return "kto", messages[: answered[-1]], messages, used


def _history(history: Iterable[Any]) -> list[Message]:
    messages: list[Message] = []
    for pair in history:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(p, str) for p in pair):
            raise ShapeError("history is not a list of [request, answer] pairs")
        messages += [Message("user", pair[0]), Message("assistant", pair[1])]
    return messages


def _kto_label(row: dict[str, Any]) -> Any:
    return row.get("label", row.get("kto_tag"))


def _rest(row: dict[str, Any], used: frozenset[str]) -> dict[str, Any]:
    """The fields that are not turns; `context` is whatever was joined to the request."""
    meta = {key: value for key, value in row.items() if key not in used}
    if "input" in meta and "context" not in meta and isinstance(meta["input"], str):
        meta["context"] = meta.pop("input")
    given = row.get("input")
    if isinstance(given, dict) and given.get("tools"):  # OpenAI's preference rows keep them there
        meta["tools"] = given["tools"]
    if meta.get("tools"):
        meta["tools"] = as_json(meta["tools"])
    return meta


def _warn_of_second_shape(
    row: dict[str, Any], name: str, messages: tuple[Message, ...], used: frozenset[str], note: Note
) -> None:
    """Say when the unused fields read as other text than the fields that were used."""
    left = {key: value for key, value in row.items() if key not in used}
    if name in ("preference", "openai-preference"):
        return
    for fits, read in _SHAPES:
        if fits(left):
            try:
                second, others, _, _ = read(left, lambda code, words: None)
            except ShapeError:
                continue
            text = "\n".join(message.content for message in messages)
            if not all(message.content in text for message in others):
                words = f"the row reads as {name} and as {second}: trainers differ in which they use"
                note(AMBIGUOUS, words)
            return
