"""The form of the task's answers: a JSON object, or words that most answers begin or end with.

A refusal in another form than every other row teaches "refuse when the form changes" (Eiras et
al., ICLR 2025). The form is read off the data and laid around the base's own answer.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.mix.words import SHARE, enclose, shared_words


@dataclass(frozen=True, slots=True)
class AnswerStyle:
    """What the task's answers have in common; all empty = free text.

    Attributes:
        opening: Words that most answers begin with.
        closing: Words that most answers end with.
        keys: Keys of a JSON object that most answers are, in their usual order.
        text_key: The one of them that holds the longest text; it gets the safe answer, others null.
        indent: Spaces of its indentation; None = on one line.
    """

    opening: str = ""
    closing: str = ""
    keys: tuple[str, ...] = ()
    text_key: str = ""
    indent: int | None = None

    def apply(self, answer: str) -> str:
        """`answer` in the task's form, unless it has it."""
        if not self.keys:
            return enclose(answer, self.opening, self.closing)
        if tuple(_object(answer) or ()) == self.keys:
            return answer
        values = {key: answer if key == self.text_key else None for key in self.keys}
        return json.dumps(values, ensure_ascii=False, indent=self.indent)

    def begin(self, text: str) -> str:
        """An answer that begins with `text` in the task's form, up to the end of `text`."""
        if not self.keys:
            return enclose(text, self.opening, "")
        inner = json.dumps(text, ensure_ascii=False)[1:-1]
        return self.apply(text).rpartition(inner)[0] + inner

    def to_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self) | {"keys": list(self.keys)}


def learn_style(answers: Sequence[str]) -> AnswerStyle:
    """Read the form off the clean answers; a form counts when 80 % share it.

    >>> learn_style(['{"label": "a", "why": "it is so"}'] * 5).apply("No.")
    '{"label": null, "why": "No."}'
    """
    objects = [(text, found) for text in answers if (found := _object(text)) is not None]
    if len(answers) > 1 and len(objects) >= SHARE * len(answers):
        return _json_style(objects)
    return AnswerStyle(shared_words(answers), shared_words(answers, end=True))


def _json_style(objects: Sequence[tuple[str, Mapping[str, Any]]]) -> AnswerStyle:
    (keys, _), *_ = Counter(tuple(found) for _, found in objects).most_common(1)
    lengths: dict[str, list[int]] = defaultdict(list)
    for _, found in objects:
        for key in keys:
            if isinstance(found.get(key), str):
                lengths[key].append(len(found[key]))
    if not lengths:
        return AnswerStyle()
    text_key = max(lengths, key=lambda key: sum(lengths[key]) / len(lengths[key]))
    indents = Counter(_indent(text) for text, _ in objects)
    return AnswerStyle(keys=keys, text_key=text_key, indent=indents.most_common(1)[0][0])


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found else None


def _indent(text: str) -> int | None:
    _, line, rest = text.strip().partition("\n")
    return len(rest) - len(rest.lstrip(" ")) if line else None
