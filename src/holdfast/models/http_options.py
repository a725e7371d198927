"""The options of an endpoint reference: the fragment of `openai:MODEL@URL#OPTIONS`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from holdfast.errors import InputError
from holdfast.models.refs import Ref

_KNOWN = ("concurrency", "key", "retries", "rpm", "server", "timeout")


@dataclass(frozen=True, slots=True)
class Limits:
    """How an endpoint is treated.

    Attributes:
        concurrency: Requests in flight at once.
        timeout: Seconds for one request, from sending to the last byte.
        retries: Tries after the first, for errors that may pass (a timeout is tried three times).
        rpm: Requests a minute at most; 0 for no limit.
    """

    concurrency: int = 16
    timeout: float = 120.0
    retries: int = 8
    rpm: float = 0.0


def read_limits(ref: Ref) -> Limits:
    """The limits a reference asks for.

    Raises:
        InputError: An option is unknown or not usable.
    """
    unknown = sorted(set(ref.options) - set(_KNOWN))
    if unknown:
        fix = f"known are {', '.join(_KNOWN)}"
        raise InputError(f"unknown endpoint option '{unknown[0]}' in {ref.text}", fix=fix)
    default = Limits()
    return Limits(
        concurrency=int(_number(ref, "concurrency", default.concurrency, least=1, whole=True)),
        timeout=_number(ref, "timeout", default.timeout, least=1e-3),
        retries=int(_number(ref, "retries", default.retries, least=0, whole=True)),
        rpm=_number(ref, "rpm", default.rpm, least=0),
    )


def _number(ref: Ref, name: str, default: float, *, least: float, whole: bool = False) -> float:
    text = ref.options.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < 1e6 or (whole and value != int(value)):
        fix = f"for instance {name}={default or 60:g}"
        raise InputError(f"endpoint option {name}={text} is not usable", fix=fix)
    return value


def is_extended(ref: Ref) -> bool:
    """Whether the server takes vLLM's extensions (prefill, chat template).

    Raises:
        InputError: Another server is named.
    """
    server = ref.options.get("server", "")
    if server not in ("", "vllm"):
        raise InputError(f"unknown server '{server}' in {ref.text}", fix="server=vllm, or leave it out")
    return server == "vllm"


def read_key(ref: Ref) -> str | None:
    """The API key: from the variable the reference names, or `OPENAI_API_KEY`, or none.

    Raises:
        InputError: The variable named is not set.
    """
    variable = ref.options.get("key")
    if variable is None:
        return os.environ.get("OPENAI_API_KEY")
    if not os.environ.get(variable):
        raise InputError(f"the environment variable {variable} of {ref.text} is not set", fix="export it")
    return os.environ[variable]
