"""Frozen safety layers: some transformer layers are not trained (SPPFT, Li et al., ICLR 2025).

Layers are given, or found: at every layer the mean angle between last-token states of refused and
of benign prompts is compared with the mean angle among benign prompts; the safety layers are the
window over which that gap grows most.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from holdfast.errors import InputError
from holdfast.train.guard_config import Freeze
from holdfast.train.guards.base import Guard, GuardContext
from holdfast.train.guards.tools import reference
from holdfast.train.rows import IGNORE, TokenRow

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")


def layer_of(name: str) -> int | None:
    """The transformer layer a parameter belongs to, from its name."""
    match = _LAYER.search(name)
    return int(match.group(1)) if match else None


def angle_gap(refused: torch.Tensor, benign: torch.Tensor) -> torch.Tensor:
    """Mean angle refused-benign minus mean angle benign-benign, per layer, in radians.

    Args:
        refused: Last-token states, shape (prompts, layers, width).
        benign: The same for benign prompts, at least two of them.
    """

    def angles(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        a, b = (torch.nn.functional.normalize(x.float(), dim=-1) for x in (left, right))
        return torch.einsum("ilw,jlw->lij", a, b).clamp(-1, 1).acos()

    across = angles(refused, benign).mean((1, 2))
    within = angles(benign, benign)
    off = ~torch.eye(benign.shape[0], dtype=torch.bool, device=within.device)
    return across - within[:, off].mean(-1)


def growth_window(gap: torch.Tensor, width: int) -> list[int]:
    """The `width` consecutive layers over which `gap` rises most.

    Args:
        gap: One value for the embedding and one after every layer, shape (layers + 1,).
        width: Number of layers.
    """
    rise = gap[width:] - gap[:-width]
    first = int(rise.argmax())
    return list(range(first, first + width))


class FreezeGuard(Guard):
    """See the module; built from a `Freeze` configuration."""

    name = "freeze"

    def __init__(self, config: Freeze) -> None:
        self.config = config
        self.layers: tuple[int, ...] = tuple(config.layers)

    def setup(self, trainer: Any, context: GuardContext) -> None:
        """Take the layers out of training, before the model is wrapped.

        Raises:
            InputError: No such layer, nothing left to train, or too few prompts to find layers.
        """
        model = trainer.accelerator.unwrap_model(trainer.model)
        count = int(model.config.get_text_config().num_hidden_layers)
        if not self.layers:
            width = max(1, round(self.config.share * count))
            self.layers = tuple(growth_window(self._gap(trainer, context), width))
        wrong = [layer for layer in self.layers if not 0 <= layer < count]
        if wrong:
            raise InputError(f"the model has no layer {wrong[0]}; its layers are 0 to {count - 1}")
        left = 0
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and layer_of(name) in self.layers:
                parameter.requires_grad_(False)
            left += parameter.requires_grad
        if not left:
            raise InputError("every trained parameter lies in a frozen layer", fix="freeze fewer layers")

    def _gap(self, trainer: Any, context: GuardContext) -> torch.Tensor:
        groups = {kind: [r for r in context.safety if r.kind == kind] for kind in ("refuse", "lookalike")}
        if not groups["refuse"] or len(groups["lookalike"]) < 2:
            raise InputError(
                "finding the safety layers needs refused and benign safety rows",
                fix="name the layers, or mix with look-alikes",
            )
        with reference(trainer):
            states = {k: last_states(trainer, rows[:64]) for k, rows in groups.items()}
        return angle_gap(states["refuse"], states["lookalike"])


def last_states(trainer: Any, rows: list[TokenRow]) -> torch.Tensor:
    """Hidden states at the last prompt token, shape (rows, layers + 1, width), fp32, on the CPU."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    training = model.training
    model.eval()
    found = []
    with torch.no_grad():
        for row in rows:
            first = next(i for i, label in enumerate(row.labels) if label != IGNORE)
            ids = torch.tensor([row.input_ids[:first]], device=trainer.args.device)
            states = model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states
            found.append(torch.stack([layer[0, -1].float().cpu() for layer in states]))
    model.train(training)
    return torch.stack(found)
