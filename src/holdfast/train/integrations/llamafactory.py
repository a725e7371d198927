"""LLaMA-Factory: `run_exp` with guards, and the data set entry for a mixed file.

    from holdfast.train.integrations.llamafactory import run_exp
    run_exp(args, guards=[{"name": "kl_anchor", "weight": 3}], safety=Path("mix/safety.jsonl"))

LLaMA-Factory has no hook for the loss, so its supervised trainer class is replaced by the same
class with the guard mixin in front for the time of the run, and put back afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import InputError
from holdfast.train.integrations import guard_trainer

_COLUMNS = {"messages": "messages"}
_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def dataset_info(name: str, mixed: Path) -> dict[str, Any]:
    """The entry of `dataset_info.json` under which LLaMA-Factory reads a mixed file."""
    entry = {"file_name": str(mixed), "formatting": "sharegpt", "columns": _COLUMNS, "tags": _TAGS}
    return {name: entry}


def run_exp(
    args: dict[str, Any],
    *,
    guards: Sequence[dict[str, Any]] = (),
    safety: Path | None = None,
    probe: dict[str, Any] | None = None,
) -> None:
    """LLaMA-Factory's `run_exp(args)` with guards.

    Args:
        args: LLaMA-Factory's arguments, stage `sft`.
        guards: Guard settings.
        safety: The `safety.jsonl` that `holdfast mix` writes.
        probe: Probe settings; None for no probe.

    Raises:
        InputError: LLaMA-Factory is not installed, or the stage is not `sft`.
    """
    if args.get("stage", "sft") != "sft":
        raise InputError(f"guards need stage sft, not {args['stage']}")
    try:
        from llamafactory.train.sft import workflow  # type: ignore[import-not-found]
        from llamafactory.train.tuner import run_exp as run  # type: ignore[import-not-found]
    except ImportError:
        raise InputError("this needs LLaMA-Factory", fix="pip install llamafactory") from None
    own = workflow.CustomSeq2SeqTrainer
    base = Path(args["model_name_or_path"])
    workflow.CustomSeq2SeqTrainer = guarded_class(own, guards, base, safety, probe)
    try:
        run(args)
    finally:
        workflow.CustomSeq2SeqTrainer = own


def guarded_class(
    trainer_class: type,
    guards: Sequence[dict[str, Any]],
    base: Path,
    safety: Path | None,
    probe: dict[str, Any] | None,
) -> type:
    """`trainer_class` with the mixin, which attaches its guards when it is built."""
    from holdfast.train.mixin import guarded

    parent = guarded(trainer_class)

    def build(self: Any, *args: Any, **kwargs: Any) -> None:
        parent.__init__(self, *args, **kwargs)  # type: ignore[misc]
        guard_trainer(self, guards, base=base, safety=safety, probe=probe)

    return type(parent.__name__, (parent,), {"__init__": build})
