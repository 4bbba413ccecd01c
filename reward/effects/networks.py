"""LR, FM and DeepFM over one table of levels.

A row's logit, with F features, level i of feature f having a weight w_i and, but for LR, a vector
v_i of k factors:

    lr      b + Σ_f w_i
    fm      … + Σ_{f<g} <v_i, v_j>
    deepfm  … + mlp(v_1 … v_F), which reads the factors that the sum before it uses

The deviations from the papers: fields are one-hot, so no x_i stands before the vectors, and DeepFM
has no dropout, as a normal prior on every weight (:mod:`reward.effects.fitting`) does its work.

References:
    Rendle, S. (2010). Factorization machines. ICDM.
    Guo, H., Tang, R., Ye, Y., Li, Z., He, X. (2017). DeepFM: a factorization-machine based neural
    network for CTR prediction. IJCAI.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["ClickNet", "NetShape", "cross"]

_FIRST_FACTOR = 0.05


@dataclass(frozen=True, slots=True)
class NetShape:
    """What a click model is made of.

    Args:
        model: ``lr``, ``fm`` or ``deepfm``.
        sizes: Codes of each feature, F.
        factors: k.
        hidden: Widths of DeepFM's hidden layers.
    """

    model: str
    sizes: tuple[int, ...]
    factors: int = 8
    hidden: tuple[int, ...] = (32, 16)


class ClickNet(nn.Module):
    """The logit of a click.

    Args:
        shape: Its parts.
        logit: The bias to begin with.
    """

    first: Tensor

    def __init__(self, shape: NetShape, logit: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        levels, width = sum(shape.sizes), len(shape.sizes) * shape.factors
        starts = torch.tensor((0, *shape.sizes[:-1])).cumsum(0)
        self.register_buffer("first", starts, persistent=False)
        self.bias = nn.Parameter(torch.tensor(logit))
        self.weight = nn.Parameter(torch.zeros(levels))
        if shape.model != "lr":
            self.factors = nn.Parameter(_FIRST_FACTOR * torch.randn(levels, shape.factors))
        if shape.model == "deepfm":
            self.mlp = _mlp((width, *shape.hidden))

    def forward(self, codes: Tensor) -> Tensor:
        """Return logits, N, of codes, N x F."""
        level = codes + self.first
        logit: Tensor = self.bias + self.weight[level].sum(1)
        if self.shape.model == "lr":
            return logit
        vectors = nn.functional.embedding(level, self.factors)  # N x F x k
        logit = logit + cross(vectors)
        if self.shape.model == "deepfm":
            logit = logit + self.mlp(vectors.flatten(1)).squeeze(1)
        return logit


def cross(vectors: Tensor) -> Tensor:
    """Return Σ_{f<g} <v_f, v_g>, N, of N x F x k vectors, in O(F k) (Rendle 2010, lemma 3.1)."""
    return 0.5 * (vectors.sum(1).square() - vectors.square().sum(1)).sum(1)


def _mlp(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, wider in pairwise(widths):
        layers += [nn.Linear(width, wider), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))
