"""One interface to every model: local transformers, vLLM, OpenAI-compatible endpoints, recorded answers."""

from __future__ import annotations

from holdfast.models.base import (
    Completion,
    Decoding,
    Generator,
    Identity,
    Progress,
    Prompt,
    Scorer,
    Streamer,
    TokenScores,
)
from holdfast.models.load import digest, load, load_pair
from holdfast.models.refs import Ref, parse_ref
from holdfast.models.streaming import stream

__all__ = [
    "Completion",
    "Decoding",
    "Generator",
    "Identity",
    "Progress",
    "Prompt",
    "Ref",
    "Scorer",
    "Streamer",
    "TokenScores",
    "digest",
    "load",
    "load_pair",
    "parse_ref",
    "stream",
]
