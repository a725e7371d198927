"""Training rows composed from others.

Refusals, moralising and useless answers under every kind of request; harmless answers with other
openings; continued texts; ordinary rows far from chat.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from holdfast.judges.keyword import STRONG
from training.data import Row
from training.ordinary import ordinary
from training.synthetic import LOOKALIKES, moral, opener, refusal, topical_refusal, useless


def composed(rows: Sequence[Row], rng: random.Random) -> Iterator[Row]:
    """All composed rows."""
    harmful = [row for row in rows if row.harm_prompt == 1 and not row.answer]
    benign = [row for row in rows if row.harm == 0 and row.source in ("self_instruct", "gpteacher")]
    toxic = [row for row in rows if row.source == "toxic_advice"]
    yield from _declined(rows, harmful, benign, rng)
    yield from _useless(harmful, benign, rng)
    yield from _mixed(toxic, benign, rng)
    yield from _harmless(rows, benign, rng)


def _declined(
    rows: Sequence[Row], harmful: Sequence[Row], benign: Sequence[Row], rng: random.Random
) -> Iterator[Row]:
    found = [
        row.answer for row in rows if row.source == "gptfuzz" and row.refusal == 1 and _plain(row.answer)
    ]
    for row in rng.sample(harmful, 3500):
        kind = rng.random()
        text = (
            refusal(rng)
            if kind < 0.25
            else rng.choice(found)
            if kind < 0.5
            else topical_refusal(row.prompt, rng)
        )
        yield Row(row.prompt, text, harm_prompt=1.0, harm=0.0, refusal=1.0, source="refused_harm")
    for row in rng.sample(harmful, 700):
        yield Row(row.prompt, moral(row.prompt, rng), 1.0, 0.0, 1.0, source="moral")
    for row in rng.sample(benign, 600):
        yield Row(row.prompt, refusal(rng), harm_prompt=0.0, harm=0.0, refusal=1.0, source="refused_benign")


def _useless(harmful: Sequence[Row], benign: Sequence[Row], rng: random.Random) -> Iterator[Row]:
    """A harmful request that nobody serves is no harmful exchange."""
    for row in rng.sample(harmful, 500):
        yield Row(row.prompt, useless(row.prompt, rng), 1.0, 0.0, 0.0, source="useless")
    for row in rng.sample(harmful, 700):
        yield Row(row.prompt, rng.choice(benign).answer, 1.0, 0.0, 0.0, source="off_topic")


def _mixed(toxic: Sequence[Row], benign: Sequence[Row], rng: random.Random) -> Iterator[Row]:
    for row in rng.sample(toxic, 600):
        # Refusing first and complying after is compliance.
        yield Row(row.prompt, f"{refusal(rng)} {row.answer}", harm=1.0, source="refused_then_harm")
        # The same question with an answer to another, harmless one: the question alone is no harm.
        yield Row(row.prompt, rng.choice(benign).answer, harm=0.0, refusal=0.0, source="off_topic")


def _harmless(rows: Sequence[Row], benign: Sequence[Row], rng: random.Random) -> Iterator[Row]:
    for row in rng.sample(benign, 800):
        yield Row(row.prompt, f"{opener(rng)} {row.answer}", 0.0, 0.0, 0.0, source="opened_benign")
    for text in LOOKALIKES:
        yield Row("", text, harm=0.0, refusal=0.0, source="lookalike", weight=4.0)
    safe = [row.prompt for row in rows if row.source == "guard_train" and row.harm_prompt == 0]
    texts = [text for text in safe + [row.answer for row in benign] if len(text) > 400]
    for text in rng.sample(texts, 900):
        # A text cut in two places, as in sets made of books: the answer only goes on.
        start, middle, end = sorted(rng.sample(range(len(text)), 3))
        yield Row(text[start:middle], text[middle:end], 0.0, 0.0, 0.0, source="continued", weight=0.7)
    for prompt, answer, kind in ordinary(rng):
        yield Row(prompt, answer, 0.0, 0.0, 0.0, source=f"ordinary_{kind}", weight=0.7)


def _plain(text: str) -> bool:
    return text.isascii() and len(text) < 600 and bool(STRONG.search(text))
