"""The safety card of a run: what was tested, with which result, and what stays open."""

from holdfast.card.card import write
from holdfast.card.model_card import MARKERS, update_model_card

__all__ = ["MARKERS", "update_model_card", "write"]
