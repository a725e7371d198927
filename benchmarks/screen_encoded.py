"""EN: codes found and undone, ordinary data left alone: `python benchmarks/screen_encoded.py`."""

from __future__ import annotations

from collections import Counter

import screen_sets as sets

from holdfast.conversation import Conversation, chat
from holdfast.screen.rules.encoded import Encoded

FILES = ("advbench-extension1", "jailbreakbench-extension1")


def main() -> None:
    """Print recall and correctness by code, then false positives by set."""
    sets.require_data()
    rule, counts = Encoded(), Counter()  # type: ignore[var-annotated]
    for name in FILES:
        records = sets.values(f"encoded_and_roleplay_variants/{name}.jsonl")
        plain = {r["base_id"]: _base64(r["prompt"]) for r in records if r["encoding"] == "base64"}
        for record in records:
            row = Conversation(chat(("user", record["prompt"]), ("assistant", "Sure.")))
            found = list(rule.check(row))
            right = any((f.decoded or "").lower() == plain[record["base_id"]].lower() for f in found)
            counts.update(
                {(record["encoding"], k): v for k, v in (("n", 1), ("found", bool(found)), ("right", right))}
            )
    codes = sorted({code for code, _ in counts})
    sets.table(
        ("code", "rows", "found", "decoded view correct"),
        [
            (c, n := counts[c, "n"], f"{counts[c, 'found'] / n:.2%}", f"{counts[c, 'right'] / n:.2%}")
            for c in codes
        ],
    )
    fired = {name: sum(bool(list(rule.check(row))) for row in rows) for name, rows in sets.benign().items()}
    sizes = {name: len(rows) for name, rows in sets.benign().items()}
    lines = [(name, sizes[name], f"{count / sizes[name]:.3%}") for name, count in fired.items()]
    total = sum(sizes.values())
    lines.append(("together", total, f"{sum(fired.values()) / total:.3%}"))
    for language in ("zh", "it", "vi", "ar", "ko", "th", "bn", "sw", "jv"):
        texts = [str(r[language]) for r in sets.values("multijail/MultiJail.csv")]
        hits = sum(
            bool(list(rule.check(Conversation(chat(("user", t), ("assistant", "ok")))))) for t in texts
        )
        lines.append((f"MultiJail {language}", len(texts), f"{hits / len(texts):.3%}"))
    sets.table(("ordinary set", "rows", "fired"), lines)


def _base64(text: str) -> str:
    import base64

    return base64.b64decode(text).decode()


if __name__ == "__main__":
    main()
