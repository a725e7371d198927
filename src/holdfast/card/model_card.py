"""The safety section of a model's README.md, replaced between markers on every run."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import InputError

MARKERS = ("<!-- holdfast: safety audit -->", "<!-- end of safety audit -->")


def update_model_card(readme: Path, card: Path, out: Path) -> Path:
    """Write a copy of `readme` to `out` with the card of `card` between the markers.

    The section is appended where the README has none. The original is not touched.

    Args:
        readme: The model card; may be missing.
        card: A `card.md`.
        out: Where the new model card goes.

    Raises:
        InputError: `out` is the model card itself, or it has one marker without the other.
    """
    from holdfast.files import write_text

    if out.resolve() == readme.resolve():
        raise InputError(
            "the model card is never overwritten in place", path=out, fix="name another output file"
        )
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    # One level deeper, so that the card nests below the model card's own title.
    body = "\n".join(
        f"#{line}" if line.startswith("#") else line for line in card.read_text(encoding="utf-8").splitlines()
    )
    section = f"{MARKERS[0]}\n{body}\n{MARKERS[1]}"
    begin, end = (text.find(marker) for marker in MARKERS)
    if (begin < 0) != (end < 0) or end < begin:
        raise InputError("has one marker of the safety section without the other", path=readme)
    if begin < 0:
        text = f"{text.rstrip()}\n\n{section}\n" if text.strip() else f"{section}\n"
    else:
        text = text[:begin] + section + text[end + len(MARKERS[1]) :]
    write_text(out, text)
    return out
