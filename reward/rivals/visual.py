"""A CNN that ranks the pictures of a product, after the visual prior of Wang et al. (2021).

"A Hybrid Bandit Model with Visual Priors for Creative Ranking in Display Advertising" learns
from lists: the softmax of a product's scores against that of its click rates, beside a squared
error of each rate. Deviations: a small CNN instead of a pre-trained ResNet, and rates are smoothed
towards the product's own.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from reward.evaluate import Forecast
from reward.resume import one_thread
from reward.rivals.contest import Part, scores_to_forecast

__all__ = ["visual_prior"]

_EPOCHS = 12
_PRODUCTS = 8
_RATE = 2e-3
_POINTWISE = 0.5
_PRIOR_IMPRESSIONS = 500.0


def visual_prior(learned: Part, held: Part) -> Forecast:
    """Learn a score for every picture; what beats what follows from their difference."""
    if learned.pictures is None or held.pictures is None:
        raise ValueError("pictures are needed")
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = _Net()
        _fit(net, learned.pictures, _lists(learned))
        net.eval()
        with torch.no_grad():
            parts = torch.split(_tensor(held.pictures), 256)
            score = torch.cat([net(part) for part in parts]).double().numpy()
    return scores_to_forecast(score, held.table)


class _Net(nn.Module):
    """Four convolutions, each halving the picture, and a readout of the mean."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 2 * width, 3 * width]
        blocks = [
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.SiLU()
            )
            for before, after in pairwise(widths)
        ]
        self.blocks = nn.Sequential(*blocks)
        self.readout = nn.Linear(widths[-1], 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return a score for each of N pictures."""
        score: Tensor = self.readout(self.blocks(pictures).mean((2, 3))).squeeze(1)
        return score


def _tensor(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def _lists(part: Part) -> list[tuple[NDArray[np.int64], Tensor]]:
    """Return every group's items with their smoothed log click rates around the group's."""
    table = part.table
    lists = []
    for group in np.unique(table.group):
        rows = table.group == group
        items = np.unique(np.concatenate([table.chosen[rows], table.rejected[rows]]))
        clicks, shown = table.clicks[items], table.impressions[items]
        if not shown.sum():
            continue
        own = (clicks.sum() + 0.5) / (shown.sum() + 1)
        rate = (clicks + own * _PRIOR_IMPRESSIONS) / (shown + _PRIOR_IMPRESSIONS)
        lists.append((items, torch.from_numpy(np.log(rate / own)).float()))
    return lists


def _fit(
    net: _Net, pictures: NDArray[np.uint8], lists: list[tuple[NDArray[np.int64], Tensor]]
) -> None:
    every = _tensor(pictures)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.05)
    order = np.random.default_rng(0)
    for _ in range(_EPOCHS):
        shuffled = order.permutation(len(lists))
        for at in range(0, len(shuffled), _PRODUCTS):
            batch = [lists[index] for index in shuffled[at : at + _PRODUCTS]]
            scores = net(every[np.concatenate([items for items, _ in batch])])
            loss, start = torch.zeros(()), 0
            for items, rate in batch:
                score = scores[start : start + len(items)]
                start += len(items)
                # the rates' own softmax is what n clicks in a list would be shared by
                ranked = functional.cross_entropy(score, functional.softmax(rate, 0))
                loss = loss + ranked + _POINTWISE * ((score - rate) ** 2).mean()
            optimizer.zero_grad()
            (loss / len(batch)).backward()  # type: ignore[no-untyped-call]  # no annotation here
            optimizer.step()
