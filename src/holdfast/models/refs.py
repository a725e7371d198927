"""Model references: how a user names a model on the command line and in a project file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from holdfast.errors import InputError

Kind = Literal["local", "hf", "openai", "vllm", "recorded"]
FORMS = "a folder, hf:NAME, openai:MODEL@URL, vllm:PATH or recorded:FILE"
_OPENAI = re.compile(r"(?P<model>.+?)@(?P<url>https?://.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Ref:
    """A parsed reference.

    Attributes:
        kind: Which backend serves it.
        target: Folder, hub name, model name or file.
        text: The reference as written.
        url: Base URL of an endpoint (without the option fragment).
        revision: Hub revision of `hf:NAME@REVISION`.
        options: Options of an endpoint, from the fragment: `openai:M@URL#key=ENV&concurrency=8`.
    """

    kind: Kind
    target: str
    text: str
    url: str = ""
    revision: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def parse_ref(ref: str | Path) -> Ref:
    """Read a reference.

    Raises:
        InputError: It has none of the known forms.
    """
    text = str(ref)
    kind, _, target = text.partition(":")
    if isinstance(ref, Path) or kind not in ("hf", "openai", "vllm", "recorded"):
        if not text:
            raise InputError("empty model reference", fix=f"name {FORMS}")
        return Ref("local", text, text)
    if not target:
        raise InputError(f"nothing after '{kind}:'", fix=f"name {FORMS}")
    if kind == "hf":
        name, _, revision = target.partition("@")
        return Ref("hf", name, text, revision=revision or None)
    if kind == "openai":
        return _endpoint(target, text)
    return Ref("vllm" if kind == "vllm" else "recorded", target, text)


def _endpoint(target: str, text: str) -> Ref:
    match = _OPENAI.fullmatch(target)
    if match is None:
        raise InputError(
            f"'{text}' names no endpoint; there is no default one",
            fix="write openai:MODEL@URL, for instance openai:my-model@http://localhost:8000/v1",
        )
    url = urlsplit(match["url"])
    options = dict(parse_qsl(url.fragment, keep_blank_values=True))
    return Ref("openai", match["model"], text, url._replace(fragment="").geturl().rstrip("/"), None, options)
