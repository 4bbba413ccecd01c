"""What training minimises: one loss for each branch of the model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from reward.dataset import PairTable

__all__ = ["base_rates", "binomial_deviance", "pair_loss"]


def pair_loss(scores: tuple[Tensor, Tensor], p_win: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross-entropy of sigmoid(chosen - rejected) against soft labels, summed over P."""
    chosen, rejected = scores
    each = functional.binary_cross_entropy_with_logits(chosen - rejected, p_win, reduction="none")
    return (weight * each).sum()


def binomial_deviance(logit: Tensor, clicks: Tensor, impressions: Tensor) -> Tensor:
    """Half the binomial deviance of each item: 0 where sigmoid(logit) = clicks / impressions."""
    misses = impressions - clicks
    fitted = clicks * functional.logsigmoid(logit) + misses * functional.logsigmoid(-logit)
    best = torch.xlogy(clicks, clicks / impressions) + torch.xlogy(misses, misses / impressions)
    return best - fitted


def base_rates(
    table: PairTable, base: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], float]:
    """Return the log-odds of a click in each category, and how far items scatter around them.

    Args:
        table: Pairs over M items.
        base: Index of each item's category, M; 0 stands for all categories together.
        count: How many indices there are.

    Returns:
        ``count`` log-odds, and Pearson's dispersion, at least 1: the factor by which clicks vary
        more than binomially, because pictures differ (McCullagh & Nelder 1989, ch. 4.5).
    """
    seen = table.impressions > 0
    if not seen.any():
        return np.zeros(count), 1.0
    rate = np.empty(count)
    for index in range(count):
        here = seen & (base == index)
        of = here if index and here.any() else seen
        rate[index] = (table.clicks[of].sum() + 0.5) / (table.impressions[of].sum() + 1)
    own = rate[base[seen]]
    expected = table.impressions[seen] * own
    pearson = (table.clicks[seen] - expected) ** 2 / (expected * (1 - own))
    dispersion = float(pearson.sum() / max(1, seen.sum() - count + 1))
    return np.log(rate / (1 - rate)), max(1.0, dispersion)
