"""How many safety rows of each kind go into the mix."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from holdfast.conversation import Conversation, Message
from holdfast.mix.config import MixConfig
from holdfast.mix.rows import SafetyRow

_TOKEN = re.compile(r"\w+|[^\w\s]")


def estimated_tokens(messages: Sequence[Message]) -> int:
    """Words and punctuation marks of a conversation, a stand-in for any tokenizer's count."""
    return sum(len(_TOKEN.findall(message.content)) for message in messages)


def choose(rows: Sequence[SafetyRow], clean: Sequence[Conversation], config: MixConfig) -> list[SafetyRow]:
    """The rows to add: by count or by tokens, kinds in their shares, a small pool used repeatedly.

    Args:
        rows: The pool.
        clean: The user's rows, from which the share counts.
        config: Share, unit and kinds.
    """
    source = _in_shares(rows, config)
    chosen: list[SafetyRow] = []
    if config.count is not None or config.by == "rows":
        count = config.count if config.count is not None else round(config.share * len(clean))
        chosen = [next(source) for _ in range(count)]
    else:
        room = config.share * sum(estimated_tokens(row.messages) for row in clean)
        while room > 0:
            chosen.append(next(source))
            room -= max(1, estimated_tokens(chosen[-1].messages))
    random.Random(config.seed).shuffle(chosen)
    return chosen


def _in_shares(rows: Sequence[SafetyRow], config: MixConfig) -> Iterator[SafetyRow]:
    """An endless stream in which every kind that the pool has keeps its share at any length."""
    kinds = {kind: [row for row in rows if row.kind == kind] for kind in ("refuse", "lookalike", "deep")}
    refusals = 1 - config.lookalikes
    deep = refusals * config.deep_share if kinds["deep"] else 0.0
    shares = {"refuse": refusals - deep, "lookalike": config.lookalikes, "deep": deep}
    shares = {kind: share for kind, share in shares.items() if kinds[kind] and share > 0}
    if not shares:
        shares = {kind: 1.0 for kind in kinds if kinds[kind]}
    total = sum(shares.values())
    given = dict.fromkeys(shares, 0)
    number = 0
    while True:
        number += 1
        # The kind that is furthest behind its share comes next.
        kind = max(shares, key=lambda kind: number * shares[kind] / total - given[kind])
        yield kinds[kind][given[kind] % len(kinds[kind])]
        given[kind] += 1
