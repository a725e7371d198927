"""Guards in other people's trainers: Axolotl, LLaMA-Factory, or any `transformers.Trainer`.

Nothing of those frameworks is imported until it is used, and none is a dependency.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def guard_trainer(
    trainer: Any,
    guards: Sequence[dict[str, Any]],
    *,
    base: Path,
    safety: Path | None = None,
    probe: dict[str, Any] | None = None,
    folder: Path | None = None,
) -> None:
    """Attach guards and the probe to a trainer whose class has the mixin (`guarded(YourTrainer)`).

    Args:
        trainer: The trainer, before `train()`.
        guards: Guard settings such as `{"name": "kl_anchor", "weight": 3}`.
        base: Folder of the base model.
        safety: The `safety.jsonl` that `holdfast mix` writes.
        probe: Probe settings; None for no probe.
        folder: Where reference values are kept; default inside the trainer's output folder.

    Raises:
        InputError: The trainer lacks the mixin, or a guard lacks what it needs.
    """
    from holdfast.files import digest_value
    from holdfast.train.config import TrainConfig
    from holdfast.train.guards import GuardContext, build
    from holdfast.train.loading import load_tokenizer, quick_digest
    from holdfast.train.mixin import attach
    from holdfast.train.probe import SafetyProbe
    from holdfast.train.rows import safety_rows

    config = TrainConfig.model_validate({"guards": list(guards), "probe": probe})
    tokenizer = load_tokenizer(base)
    limit = int(getattr(trainer.model.config, "max_position_embeddings", None) or 2048)
    rows = safety_rows(safety, tokenizer, limit) if safety else []
    context = GuardContext(
        safety=rows,
        folder=folder or Path(trainer.args.output_dir) / "reference",
        seed=trainer.args.seed,
        pad=tokenizer.pad_token_id,
        key=digest_value([quick_digest(base), len(trainer.train_dataset), *_how_loaded(trainer.model)]),
        base=base,
        tokenizer=tokenizer,
    )
    attach(trainer, build(config.guards), context)
    if config.probe is not None:
        trainer.add_callback(SafetyProbe(trainer, context, config.probe))


def _how_loaded(model: Any) -> list[str]:
    """Precision and quantisation, on which the base's values depend."""
    return [str(model.dtype), str(getattr(model.config, "quantization_config", None))]
