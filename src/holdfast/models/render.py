"""From messages to the exact text a model reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.conversation import Message
from holdfast.errors import InputError
from holdfast.models.base import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TemplateError(ValueError):
    """A chat template that cannot render these messages."""


def render(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> str:
    """The text of `prompt` up to and including its prefill.

    A template that has no place for a system turn gets the system text at the start of the
    first user turn, as the model families without a system role recommend. Messages that end
    with an assistant turn leave that turn open (it is continued, as a prefill is) unless the
    prompt is `complete`.

    Raises:
        TemplateError: The template rejects the messages.
    """
    messages, opening = prompt.messages, prompt.prefill
    if messages and messages[-1].role == "assistant" and not prompt.complete:
        messages, opening = messages[:-1], messages[-1].content + opening
    try:
        text = _apply(tokenizer, messages, prompt.template)
    except TemplateError:
        folded = fold_system(messages)
        if folded == messages:
            raise
        text = _apply(tokenizer, folded, prompt.template)
    # A lone surrogate (half of a broken escape) cannot be tokenized; U+FFFD can.
    return (text + opening).encode("utf-8", "replace").decode("utf-8")


def _apply(tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], template: str | None) -> str:
    turns = [{"role": m.role, "content": m.content} for m in messages]
    options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": False}
    try:
        return str(tokenizer.apply_chat_template(turns, chat_template=template, **options))
    except Exception as error:
        raise TemplateError(f"the chat template failed: {error}") from error


def fold_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Move system text to the start of the first user turn."""
    system = "\n\n".join(m.content for m in messages if m.role == "system" and m.content)
    rest = [m for m in messages if m.role != "system"]
    for index, message in enumerate(rest):
        if message.role == "user" and system:
            rest[index] = Message("user", f"{system}\n\n{message.content}")
            break
    return tuple(rest)


def template_text(tokenizer: PreTrainedTokenizerBase, folder: Path) -> str:
    """The model's own chat template.

    Raises:
        InputError: It has none.
    """
    try:
        return str(tokenizer.get_chat_template())
    except ValueError:
        raise InputError(
            "the tokenizer has no chat template, so a chat prompt cannot be written for this model",
            path=folder,
            fix="put the template the model was trained with into chat_template.jinja in this folder, "
            "or point to the instruction-tuned checkpoint",
        ) from None


def digest_text(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def end_tokens(tokenizer: PreTrainedTokenizerBase, declared: int | list[int] | None) -> list[int]:
    """Token ids that end an answer: declared ones and the one the template writes after a turn.

    Models tuned on a new template often keep the old end token in their configuration; without
    the template's own they would talk on after their answer.
    """
    ids = {declared} if isinstance(declared, int) else set(declared or ())
    if tokenizer.eos_token_id is not None:
        ids.add(int(tokenizer.eos_token_id))
    marker = "holdfast"
    turns = [{"role": "user", "content": marker}, {"role": "assistant", "content": marker}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception:  # noqa: BLE001 - the templates that reject this pair have no marker to find
        return sorted(ids)
    tail = tokenizer(text.rpartition(marker)[2], add_special_tokens=False)["input_ids"]
    special = set(tokenizer.all_special_ids) | {
        index for index, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    if tail and tail[0] in special:
        ids.add(int(tail[0]))
    return sorted(ids)
