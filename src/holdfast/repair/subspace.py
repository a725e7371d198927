"""The alignment subspace of a module, and how much of an update lies in it.

`V = W_base - W_unaligned`. SafeLoRA's published operator is `C = V V^T / |V|_F`, which is not a
projector: it also rescales. The exact form projects on the strongest left singular vectors of V.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from holdfast.errors import InputError
from holdfast.train.weights import WeightReader

if TYPE_CHECKING:
    import torch

Form = Literal["published", "exact"]


@dataclass(frozen=True, slots=True)
class Operator:
    """`C = left @ right`, kept as factors so that the d x d matrix is never formed."""

    left: torch.Tensor
    right: torch.Tensor

    def __call__(self, matrix: torch.Tensor) -> torch.Tensor:
        """`C @ matrix`."""
        return self.left @ (self.right @ matrix)


def alignment_operator(aligned: torch.Tensor, unaligned: torch.Tensor, form: Form, rank: int) -> Operator:
    """The operator of one module.

    Args:
        aligned: Weight of the base, shape (out, in).
        unaligned: Weight before alignment, same shape.
        form: `published` or `exact`.
        rank: Singular directions kept by the exact form.
    """
    import torch

    v = aligned.float() - unaligned.float()
    if form == "published":
        return Operator(v, v.T / torch.linalg.matrix_norm(v).clamp(min=1e-30))
    u, s, _ = torch.linalg.svd(v, full_matrices=False)
    u = u[:, :rank] * (s[:rank] > 0)
    return Operator(u, u.T)


def agreement(update: torch.Tensor, projected: torch.Tensor) -> float:
    """Cosine between an update and its image (as flat vectors); 0 where either is zero."""
    product = float((update * projected).sum())
    norms = float(update.norm() * projected.norm())
    return product / norms if norms > 0 else 0.0


class Alignment:
    """Operators of a pair of checkpoints (`turned`: with weights as (in, out)), computed when asked for.

    Raises:
        InputError: A checkpoint cannot be opened.
    """

    def __init__(
        self, aligned: WeightReader, unaligned: WeightReader, form: Form, rank: int, turned: bool = False
    ) -> None:
        self._aligned = aligned
        self._unaligned = unaligned
        self._form: Form = form
        self._rank = rank
        self._turned = turned

    def operator(self, name: str) -> Operator:
        """The operator of the weight `name`.

        Raises:
            InputError: One checkpoint has no such weight, or their shapes differ.
        """
        one, two = self._aligned.get(name), self._unaligned.get(name)
        if one.shape != two.shape:
            raise InputError(
                f"'{name}' has another shape than in the base",
                path=self._unaligned.folder,
                fix="give the pre-alignment checkpoint of this base",
            )
        if self._turned:
            one, two = one.T, two.T
        return alignment_operator(one, two, self._form, self._rank)


def choose(cosines: dict[str, float], threshold: float | None, lowest: int | None) -> list[str]:
    """The modules to treat: cosine at most `threshold`, or the `lowest` n.

    Raises:
        InputError: Neither or both are given.
    """
    if (threshold is None) == (lowest is None):
        raise InputError("give either a cosine threshold or a number of modules")
    if threshold is not None:
        return sorted(name for name, cosine in cosines.items() if cosine <= threshold)
    return sorted(sorted(cosines, key=lambda name: cosines[name])[:lowest])
