"""Plain texts that are whole conversations in a chat template, read back into their turns.

Only texts that are nothing but turns are read so: each begins with a marker of one template, all
markers are of known roles, and nothing but a start token stands before the first. Any other text is
left to the caller, as one turn.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from holdfast.conversation import Message, Role

_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "instruction": "user",
    "[inst]": "user",
    "assistant": "assistant",
    "model": "assistant",
    "response": "assistant",
    "[/inst]": "assistant",
    "tool": "tool",
    "ipython": "tool",
}
_START = re.compile(r"\s*(?:<s>|<bos>|<\|begin_of_text\|>)?\s*")
_SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>\s*", re.S)


class Template(NamedTuple):
    """How a template marks its turns.

    Attributes:
        hint: What a text must hold for the template to be tried.
        marker: What begins a turn; its group names the role.
        ends: What may stand at the end of a turn.
    """

    hint: str
    marker: re.Pattern[str]
    ends: tuple[str, ...]


TEMPLATES: tuple[Template, ...] = (
    Template("<|im_start|>", re.compile(r"<\|im_start\|>(\w+)\n"), ("<|endoftext|>", "<|im_end|>")),
    Template("[/INST]", re.compile(r"(\[/?INST\])"), ("<s>", "</s>")),
    Template("### ", re.compile(r"### (Human|Assistant|System): ?"), ("</s>",)),
    Template("### ", re.compile(r"(?:^|\n)### (Instruction|Response):\n"), ("</s>",)),
    Template("<start_of_turn>", re.compile(r"<start_of_turn>(user|model)\n"), ("<eos>", "<end_of_turn>")),
    Template(
        "<|start_header_id|>",
        re.compile(r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n"),
        ("<|end_of_text|>", "<|eot_id|>"),
    ),
    Template(
        "<|assistant|>",
        re.compile(r"<\|(system|user|assistant)\|>\n"),
        ("<|endoftext|>", "<|end|>", "</s>"),
    ),
)
"""ChatML, Llama 2 and Mistral, Vicuna-like and Alpaca headings, Gemma, Llama 3, Zephyr and Phi 3."""


def templated(text: str) -> tuple[Message, ...] | None:
    """The turns of a text that is a conversation in a chat template, or None.

    >>> [m.role for m in templated("<s>[INST] Hi [/INST] Hello.</s>")]
    ['user', 'assistant']
    """
    for template in TEMPLATES:
        if template.hint in text and (turns := _turns(text, template)) is not None:
            return turns
    return None


def _turns(text: str, template: Template) -> tuple[Message, ...] | None:
    parts = template.marker.split(text)
    roles = [_ROLES.get(name.lower()) for name in parts[1::2]]
    first = _START.match(parts[0])
    if "user" not in roles or "assistant" not in roles or first is None or first.end() < len(parts[0]):
        return None
    turns: list[Message] = []
    for role, said in zip(roles, parts[2::2], strict=True):
        if role is None or (turns and turns[-1].role == role):
            return None
        said = said.strip()
        for end in template.ends:
            said = said.removesuffix(end).rstrip()
        if template.hint == "[/INST]" and role == "user" and (system := _SYSTEM.match(said)):
            turns.append(Message("system", system.group(1).strip()))
            said = said[system.end() :]
        turns.append(Message(role, said))
    return tuple(turns)
