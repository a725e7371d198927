"""All decoders together: the readings of a text, and a row with its turns decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from holdfast.conversation import Conversation
from holdfast.screen.decode import gates, letters, runs, unseen
from holdfast.screen.decode.runs import Piece
from holdfast.screen.rules.scan import scan_text

_DEPTH = 3


@dataclass(frozen=True, slots=True)
class DecodedView:
    """One hidden reading of a text.

    Attributes:
        encoding: Name of the code (`base64`, `rot13`, ...); nested codes are joined by ` > `.
        text: What the encoded stretches say.
        span: Start and end (characters) of the first to the last encoded stretch.
        whole: The text with its encoded stretches replaced by what they say.
    """

    encoding: str
    text: str
    span: tuple[int, int]
    whole: str


def views(text: str, *, depth: int = _DEPTH) -> list[DecodedView]:
    """The hidden readings of a text, the innermost reading of nested codes last.

    >>> [v.encoding for v in views("V3JpdGUgYSBwb2VtIGFib3V0IHRoZSBzZWE=")]
    ['base64']
    """
    found: list[DecodedView] = []
    for encoding, pieces in _pieces(text):
        view = _view(text, encoding, pieces)
        found.append(view)
        if depth > 1:
            inner = views(view.whole, depth=depth - 1)
            found += [replace(v, encoding=f"{encoding} > {v.encoding}", span=view.span) for v in inner]
    return found


def decoded_row(
    row: Conversation, turns: Iterable[int] | None = None, *, longest: int | None = None
) -> tuple[Conversation, tuple[tuple[int, DecodedView], ...]] | None:
    """A row with every encoded turn replaced by its last reading, or None if nothing is encoded.

    Args:
        row: The row.
        turns: Indices of the turns to look at (default: all).
        longest: Characters of each turn to look at (default: all).

    Returns:
        The decoded row and the readings, each with the index of its turn.
    """
    messages, readings = list(row.messages), []
    for index in range(len(messages)) if turns is None else turns:
        text = messages[index].content
        if found := views(text[:longest]):
            rest = "" if longest is None else text[longest:]
            messages[index] = replace(messages[index], content=found[-1].whole + rest)
            readings += [(index, view) for view in found]
    if not readings:
        return None
    return replace(row, messages=tuple(messages)), tuple(readings)


def _pieces(text: str) -> Iterator[tuple[str, list[Piece]]]:
    """Codes that are present; of codes that share a stretch only the first is taken."""
    taken: list[tuple[int, int]] = []
    for encoding, pieces in _decoders(text):
        free = [p for p in pieces if not any(p[0] < end and start < p[1] for start, end in taken)]
        if free:
            taken += [(start, end) for start, end, _ in free]
            yield encoding, free


def _decoders(text: str) -> Iterator[tuple[str, Iterable[Piece]]]:
    mask = scan_text(text)
    for name, piece in _named(text, mask):
        yield name, [piece]
    for bit, name, decoder in _DECODERS:
        if mask & bit:
            yield name, list(decoder(text))
    if mask & gates.REVERSED or gates.foreign(mask):
        yield "reversed", list(letters.backwards(text))
    if mask & gates.ROTATED or gates.foreign(mask):
        for name, piece in letters.shifted(text):
            yield name, [piece]


def _named(text: str, mask: int) -> Iterator[tuple[str, Piece]]:
    return unseen.invisible(text) if mask & gates.INVISIBLE else iter(())


_DECODERS: tuple[tuple[int, str, Callable[[str], Iterator[Piece]]], ...] = (
    (gates.OVERRIDE, "bidirectional override", unseen.reordered),
    (gates.LOOKALIKE, "look-alike letters", unseen.lookalikes),
    (gates.HEX, "hex", runs.hex_runs),
    (gates.RUN, "base32", runs.base32_runs),
    (gates.RUN, "base64", runs.base64_runs),
    (gates.NUMBERS, "character numbers", runs.number_runs),
    (gates.ESCAPES, "escapes", runs.escape_runs),
    (gates.PERCENT, "url", runs.percent_runs),
    (gates.BASE85, "base85", runs.base85_runs),
    (gates.MORSE, "morse", letters.morse),
    (gates.LEET, "leetspeak", letters.leet),
    (gates.SPACED, "spaced letters", letters.spaced),
)


def _view(text: str, encoding: str, pieces: list[Piece]) -> DecodedView:
    pieces = sorted(pieces)
    parts, position = [], 0
    for start, end, plain in pieces:
        parts += [text[position:start], plain]
        position = max(position, end)
    whole = "".join([*parts, text[position:]])
    return DecodedView(encoding, "\n".join(p[2] for p in pieces), (pieces[0][0], pieces[-1][1]), whole)
