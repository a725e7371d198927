"""Classifiers that are shipped with Holdfast: small, offline, NumPy only (model cards in docs/cards)."""

from __future__ import annotations

from holdfast.judges.embedded.judge import (
    EmbeddedJudge,
    harm_probability,
    quick_scores,
    refusal_probability,
    scores,
)

__all__ = ["EmbeddedJudge", "harm_probability", "quick_scores", "refusal_probability", "scores"]
