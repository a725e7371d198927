"""Guard models as judges: adapters that write what a guard is asked and read what it replies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from holdfast.errors import InputError
from holdfast.judges.base import Judge
from holdfast.judges.guards.base import GuardFormat, GuardJudge, remembering
from holdfast.judges.guards.formats import GraniteGuardian, LlamaGuard, Qwen3Guard, ShieldGemma, WildGuard
from holdfast.judges.guards.policy import PolicyGuard

FORMATS: dict[str, Callable[[], GuardFormat]] = {
    "llama-guard": LlamaGuard,
    "qwen3guard": Qwen3Guard,
    "qwen3guard-loose": lambda: Qwen3Guard(strict=False),
    "shieldgemma": ShieldGemma,
    "wildguard": WildGuard,
    "granite-guardian": GraniteGuardian,
    "gpt-oss-safeguard": PolicyGuard,
    "chat": lambda: PolicyGuard("chat"),
}
"""Guard formats by name; `moderation` is a route of its own."""

__all__ = ["FORMATS", "GuardFormat", "GuardJudge", "load_guard"]


def load_guard(reference: str, *, cache: Path | None = None) -> Judge:
    """The judge of `KIND=MODEL`, for example `qwen3guard=hf:Qwen/Qwen3Guard-Gen-0.6B`.

    With a `cache` folder its replies are kept there, an endpoint's too: ask for that only where
    one run goes on with what it has heard. The moderation route's are not kept.

    Raises:
        InputError: The kind is unknown, or the model cannot be opened.
    """
    kind, found, model = reference.partition("=")
    if not found or not model or (kind not in FORMATS and kind != "moderation"):
        known = ", ".join([*FORMATS, "moderation"])
        raise InputError(
            f"'guard:{reference}' names no guard", fix=f"guard:KIND=MODEL with KIND one of {known}"
        )
    if kind == "moderation":
        from holdfast.judges.guards.moderation import ModerationJudge

        return ModerationJudge(model)
    return GuardJudge(FORMATS[kind](), remembering(model, cache))
