"""All decoders together: the readings of a text, and a row with its turns decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from holdfast.conversation import Conversation
from holdfast.screen.decode import gates, letters, runs, unseen
from holdfast.screen.decode.gates import suspicious
from holdfast.screen.decode.runs import Piece
from holdfast.screen.rules.scan import scan_text

_DEPTH = 3
WINDOW = 200_000


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
    row: Conversation, turns: Iterable[int] | None = None, *, window: int = WINDOW
) -> tuple[Conversation, tuple[tuple[int, DecodedView], ...]] | None:
    """A row with every encoded turn replaced by its last reading, or None if nothing is encoded.

    Args:
        row: The row.
        turns: Indices of the turns to look at (default: all).
        window: Most characters that are read at once; longer turns are read piece by piece.

    Returns:
        The decoded row and the readings, each with the index of its turn; of a code that occurs in
        several windows of a turn the first reading.
    """
    messages, readings = list(row.messages), []
    for index in range(len(messages)) if turns is None else turns:
        text, parts = messages[index].content, []
        found: dict[str, DecodedView] = {}
        for start, end in windows(text, window):
            part = text[start:end]
            seen = views(part) if len(part) == len(text) or suspicious(scan_text(part)) else []
            parts.append(seen[-1].whole if seen else part)
            for view in seen:
                span = (start + view.span[0], start + view.span[1])
                found.setdefault(view.encoding, replace(view, span=span))
        if found:
            messages[index] = replace(messages[index], content="".join(parts))
            readings += [(index, view) for view in found.values()]
    if not readings:
        return None
    return replace(row, messages=tuple(messages)), tuple(readings)


def windows(text: str, size: int) -> Iterator[tuple[int, int]]:
    """Cut a text into pieces of at most `size` characters, between words where there are any.

    A run that is longer than `size` is cut from its own start at multiples of it, so that every
    piece is whole in codes of 2, 4, 5 and 8 symbols if `size` is a multiple of 40.
    """
    start = 0
    while len(text) - start > size:
        gap = max(text.rfind(" ", start, start + size), text.rfind("\n", start, start + size))
        end = gap + 1 if gap >= start else start + size
        yield start, end
        start = end
    yield start, len(text)


def _pieces(text: str) -> Iterator[tuple[str, list[Piece]]]:
    """Codes that are present; of codes that share a stretch only the first is taken."""
    taken = bytearray(len(text))
    for encoding, pieces in _decoders(text):
        free = [piece for piece in pieces if 1 not in taken[piece[0] : piece[1]]]
        if free:
            for start, end, _ in free:
                taken[start:end] = b"\1" * (end - start)
            yield encoding, free


def _decoders(text: str) -> Iterator[tuple[str, list[Piece]]]:
    mask = scan_text(text)
    if mask & gates.INVISIBLE:
        yield from _by_name(unseen.invisible(text))
    for bit, name, decoder in _DECODERS:
        if mask & bit:
            yield name, list(decoder(text))
    if mask & gates.REVERSED or gates.foreign(mask):
        yield "reversed", list(letters.backwards(text))
    if mask & gates.ROTATED or gates.foreign(mask):
        yield from _by_name(letters.shifted(text))


def _by_name(found: Iterable[tuple[str, Piece]]) -> Iterable[tuple[str, list[Piece]]]:
    """Pieces by the name of their code, so that a text in a thousand pieces is not copied for each."""
    named: dict[str, list[Piece]] = {}
    for name, piece in found:
        named.setdefault(name, []).append(piece)
    return named.items()


_DECODERS: tuple[tuple[int, str, Callable[[str], Iterator[Piece]]], ...] = (
    (gates.OVERRIDE, "bidirectional override", unseen.reordered),
    (gates.LOOKALIKE, "look-alike letters", unseen.lookalikes),
    (gates.HEX, "hex", runs.hex_runs),
    (gates.RUN, "base32", runs.base32_runs),
    (gates.RUN, "base64", runs.base64_runs),
    (gates.GROUPS, "base64 in groups", runs.base64_groups),
    (gates.NUMBERS, "character numbers", runs.number_runs),
    (gates.ESCAPES, "escapes", runs.escape_runs),
    (gates.PERCENT, "url", runs.percent_runs),
    (gates.BASE85, "base85", runs.base85_runs),
    (gates.MORSE, "morse", letters.morse),
    (gates.ROT47, "rot47", letters.rot47),
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
