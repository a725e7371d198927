"""AsFT: penalise the part of the update that leaves the alignment direction (AAAI 2026).

`loss + weight * sum over modules |(I - C) dW|_F^2`, with `d = W_base - W_unaligned` and C the
projector onto the column space of d: with its singular vectors U, `C = U U^T`. A full-rank d makes
C the identity and the penalty zero, so C keeps the `rank` strongest directions. For a LoRA update
`dW = s B A` the norm needs only r x r matrices: `s^2 tr((PB)^T (PB) A A^T)` with `PB = B - U U^T B`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from holdfast.errors import InputError
from holdfast.train.guard_config import AsFT
from holdfast.train.guards.base import Guard, GuardContext, Step
from holdfast.train.guards.freeze import layer_of
from holdfast.train.guards.tools import Mean
from holdfast.train.weights import WeightReader


def alignment_basis(aligned: torch.Tensor, unaligned: torch.Tensor, share: float) -> torch.Tensor:
    """The strongest left singular vectors of `aligned - unaligned`, shape (out, rank)."""
    difference = aligned.float() - unaligned.float()
    u, s, _ = torch.linalg.svd(difference, full_matrices=False)
    rank = max(1, round(share * min(difference.shape)))
    basis: torch.Tensor = u[:, :rank] * (s[:rank] > 0)
    return basis


def lora_penalty(b: torch.Tensor, a: torch.Tensor, basis: torch.Tensor, scaling: float) -> torch.Tensor:
    """`|(I - U U^T) scaling B A|_F^2` without forming the product."""
    outside = b - basis @ (basis.T @ b)
    return scaling**2 * ((outside.T @ outside) * (a @ a.T)).sum()


def full_penalty(update: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """`|(I - U U^T) dW|_F^2`."""
    return (update - basis @ (basis.T @ update)).square().sum()


@dataclass(frozen=True, slots=True)
class _Adapted:
    """One adapted module: its LoRA factors (or its full weight and start) and its basis.

    `turned`: the full weight is stored as (in, out), as GPT-2's `Conv1D` does.
    """

    basis: torch.Tensor
    b: torch.Tensor
    a: torch.Tensor | None
    scaling: float
    start: torch.Tensor | None = None
    turned: bool = False

    def penalty(self) -> torch.Tensor:
        if self.a is not None:
            return lora_penalty(self.b, self.a, self.basis, self.scaling)
        assert self.start is not None
        update = self.b - self.start
        return full_penalty(update.T if self.turned else update, self.basis)


class AsFTGuard(Guard):
    """See the module; built from an `AsFT` configuration."""

    name = "asft"

    def __init__(self, config: AsFT) -> None:
        self.config = config
        self._modules: list[_Adapted] = []
        self._mean = Mean()

    def setup(self, trainer: Any, context: GuardContext) -> None:
        """Compute the alignment basis of every trained matrix, while the model is the base.

        Raises:
            InputError: A checkpoint is missing, or the two do not match.
        """
        if context.base is None:
            raise InputError("asft needs the folder of the base")
        unaligned = WeightReader(self.config.unaligned)
        base = WeightReader(context.base)
        device = trainer.args.device
        model = trainer.accelerator.unwrap_model(trainer.model)
        for name, parameters in _matrices(model).items():
            if name not in base or name not in unaligned:
                raise InputError(
                    f"no tensor '{name}' to compare",
                    path=self.config.unaligned,
                    fix="give the pre-alignment checkpoint of this base",
                )
            aligned, before = base.get(name), unaligned.get(name)
            if aligned.shape != before.shape:
                raise InputError(f"'{name}' has another shape than in the base", path=self.config.unaligned)
            b, a, scaling, turned = parameters
            if turned:
                aligned, before = aligned.T, before.T
            basis = alignment_basis(aligned, before, self.config.rank_share).to(device)
            start = None if a is not None else b.detach().clone()
            self._modules.append(_Adapted(basis, b, a, scaling, start, turned))
        if not self._modules:
            raise InputError("asft found no matrix that is trained")

    def loss(self, trainer: Any, model: Any, step: Step) -> torch.Tensor | None:
        """The weighted penalty, summed over modules."""
        total = torch.stack([module.penalty() for module in self._modules]).sum()
        self._mean.add(total)
        return self.config.weight * total

    def log(self) -> dict[str, float]:
        """Mean penalty since the last log."""
        return self._mean.take("asft")


_Matrix = tuple[torch.Tensor, torch.Tensor | None, float, bool]


def _matrices(model: Any) -> dict[str, _Matrix]:
    """Trained matrices by the base's tensor name: LoRA's (B, A, scaling, turned), or (W, None, 1, turned)."""
    from transformers.pytorch_utils import Conv1D

    found: dict[str, _Matrix] = {}
    if hasattr(model, "peft_config"):
        for name, module in model.get_base_model().named_modules():
            if hasattr(module, "lora_B") and "default" in getattr(module, "lora_B", {}):
                factors = module.lora_B["default"].weight, module.lora_A["default"].weight
                turned = isinstance(module.get_base_layer(), Conv1D)
                found[f"{name}.weight"] = (*factors, float(module.scaling["default"]), turned)
        return found
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.ndim == 2 and layer_of(name) is not None:
            turned = isinstance(model.get_submodule(name.rpartition(".")[0]), Conv1D)
            found[name] = (parameter, None, 1.0, turned)
    return found
