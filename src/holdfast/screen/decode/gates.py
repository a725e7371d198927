"""What must be present in a text for a decoder to be worth running (see `rules.scan`)."""

from __future__ import annotations

# ruff: noqa: E501
from holdfast.screen.rules.scan import gate

INVISIBLE = gate(
    "invisible",
    r"[\x{200b}-\x{200d}\x{2060}-\x{2064}\x{feff}\x{180e}\x{ad}]",
    r"[\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]{4}|[\x{e0020}-\x{e007e}]",
    runs=True,
)
OVERRIDE = gate("override", r"[\x{202d}\x{202e}]", runs=True)
LOOKALIKE = gate(
    "look-alike",
    r"[a-z][\x{370}-\x{52f}\x{1d00}-\x{1d7f}]|[\x{370}-\x{52f}][a-z]|[\x{1d00}-\x{1d7f}]{3}",
    r"[\x{1d400}-\x{1d7ff}\x{ff21}-\x{ff5a}\x{24b6}-\x{24e9}\x{1f130}-\x{1f189}]{3}",
    runs=True,
)
RUN = gate("run", r"[a-z0-9+/_-]{20,}", runs=True)
GROUPS = gate("groups", r"(?-i:(?:[A-Za-z0-9+/_-]+[A-Z][A-Za-z0-9+/_-]*\s+){3})", runs=True)
HEX = gate("hex", r"(?:(?:\\x|0x|%)?[0-9a-f]{2}[ :,;-]{0,2}){10}", runs=True)
BASE85 = gate("base85", r"[!-~]{40}", runs=True)
NUMBERS = gate(
    "numbers",
    r"[01]{7,8}[ ,]{0,2}[01]{8}[ ,]{0,2}[01]{7}",
    r"(?:[0-9]{2,3}[ ,;]{1,2}){9}",
    r"(?:\\[0-7]{3}){8}",
    runs=True,
)
ESCAPES = gate(
    "escapes", r"\\u[0-9a-f]{4}\\u[0-9a-f]{4}", r"&#x?[0-9a-f]{2,7};?[ ]?&#x?[0-9a-f]{2,7}", runs=True
)
PERCENT = gate("percent", r"%[4-7][0-9a-f](?:%[2-7][0-9a-f]){2}", runs=True)
MORSE = gate("morse", r"(?:[.\-·–—−_]{1,6}[ /|]{1,4}){7}", runs=True)
SPACED = gate("spaced", r"\b(?:[a-z][ ._*\-/]{1,3}){6}", runs=True)
LEET = gate(
    "leet",
    r"[a-z][0134578@$]+[a-z]\S*[^a-z]+(?:\S+ ){0,3}\S*(?:[a-z][0134578@$]+[a-z]|[0134578@$][a-z]+[0134578@$])",
    runs=True,
)
ROTATED = gate(
    "rotated",
    r"\b(?:uif|vjg|wkh|xli|ymj|znk|cqn|gur|hvs|iwt|jxu|kyv|nby|ocz|qeb|rfc|sgd|gsv)\b",
    r"\b(?:boe|cpf|dqg|erh|fsi|gtj|huk|ivl|jwm|kxn|lyo|mzp|naq|obr|pcs|qdt|sfv|tgw|uhx|viy|wjz|zmc|zmw)\b",
    r"\b(?:jevgr|perngr|tvir|rkcynva|ubj|jung|lbh|jvgu|gung)\b",
)
ROT47 = gate(
    "rot47",
    r"(?:^|\s)(?:[e%]96|[2p]\?5|[j*]@f|[9w]@h|[e%]92e|[h(]:e9|[7u]@c|[h(]c:e6|[>|]2<6|[h(]92e|[e%]9:d)\s",
    r"\s(?:2|:\?|:d|@7|e@|>6|>j) \S*[2-9:-@]",
    runs=True,
)
REVERSED = gate("reversed", r"\b(?:eht|dna|taht|woh|uoy|etirw|evig|htiw|rof|siht|ruoy|morf|ekam)\b")
ENGLISH = gate(
    "english",
    r"\b(?:the|of|and|to|is|in|that|for|you|are|what|how|with|on|it|this|from|by|at|as|or|an|can|write|give|my|your)\b",
)
LETTERS = gate("letters", r"[a-z]{3}\W+[a-z]+\W+[a-z]{2}|[a-z]{12}")

ANY = (
    INVISIBLE
    | OVERRIDE
    | LOOKALIKE
    | RUN
    | GROUPS
    | HEX
    | BASE85
    | NUMBERS
    | ESCAPES
    | PERCENT
    | MORSE
    | SPACED
    | LEET
    | ROTATED
    | ROT47
    | REVERSED
)


def foreign(mask: int) -> bool:
    """Whether there are letters and no common English word among them."""
    return bool(mask & LETTERS) and not mask & ENGLISH


def suspicious(mask: int) -> bool:
    """Whether any decoder has something to look at."""
    return bool(mask & ANY) or foreign(mask)
