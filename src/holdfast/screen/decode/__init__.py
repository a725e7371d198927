"""Find and undo encodings in a text: pure functions, no model, linear in the text.

`views` returns every reading that is hidden in a text; the rules then screen those readings
like any other text. A reading counts only if it is language: printable, made of letters and,
where the script allows the test, with English letter statistics. Binary data, hashes and
identifiers decode to nothing of the kind.
"""

from holdfast.screen.decode.views import WINDOW, DecodedView, decoded_row, views

__all__ = ["WINDOW", "DecodedView", "decoded_row", "views"]
