"""How sure a model may be: one number that makes its probabilities right and changes no order.

Right of the truth, not of labels, which are unsure themselves. Where clicks are known: over pairs
that were held out, the true difference of log-CTR is taken as normal around a·margin with variance
v, and the observed one adds its sampling variance, so P(better) is Φ(a·margin / √v), of which the
logistic with temperature √v / (1.702·a) is never more than 0.01 away. The two cannot be told apart
by p_win alone: where a model is sure the log is clearer, too, and a temperature that is fitted to
winners that may be wrong makes it too sure.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from reward.dataset import PairTable
from reward.losses import log_rate_differences, marginal_likelihood

__all__ = ["find_temperature"]

Floats = NDArray[np.float64]

_HIGHEST = 8.0
_LOGISTIC = 1.702
"""The logistic with this slope is nearest to the normal distribution (Camilli 1994)."""


def find_temperature(margin: Floats, table: PairTable, rows: NDArray[np.int64]) -> float:
    """Return what margins are to be divided by (Guo et al. 2017).

    However well it goes, the mean margin is not made surer than one win more and one loss more
    would allow (Laplace's rule), so that a few pairs that are all right make nobody certain.

    Args:
        margin: s_chosen - s_rejected of N held-out pairs.
        table: P pairs.
        rows: Which of them they are, N.
    """
    names = ("impressions_chosen", "impressions_rejected")
    lowest = float(np.abs(margin).mean()) / math.log(len(margin) + 1)
    if not lowest:
        return _HIGHEST
    held = table.frame[rows]
    if all((held[name] > 0).all() for name in names):
        found = _by_clicks(margin, *log_rate_differences(held))
    else:
        found = _by_winners(margin, table.p_win[rows])
    return min(max(found, lowest), _HIGHEST)


def _by_clicks(margin: Floats, value: Floats, variance: Floats) -> float:
    """Fit value ~ N(a·margin, v + variance) by maximum likelihood; a in closed form for each v."""

    def slope(spread: float) -> float:
        weight = 1 / (spread + variance)
        return float((weight * margin * value).sum() / (weight * margin**2).sum())

    def loss(log_spread: float) -> float:
        spread = math.exp(log_spread)
        total = spread + variance
        return float((np.log(total) + (value - slope(spread) * margin) ** 2 / total).sum())

    least = math.log(float(variance.mean()) * 1e-4)
    most = math.log(float((value**2).mean() + variance.mean()))
    spread = math.exp(float(minimize_scalar(loss, bounds=(least, most), method="bounded").x))
    rise = slope(spread)
    return math.sqrt(spread) / (_LOGISTIC * rise) if rise > 0 else _HIGHEST


def _by_winners(margin: Floats, p_win: Floats) -> float:
    """Maximise the likelihood of winners that may be wrong; see :class:`reward.losses.Marginal`."""
    margins, labels = torch.from_numpy(margin), torch.from_numpy(p_win)

    def loss(log_temperature: float) -> float:
        return float(marginal_likelihood(margins / math.exp(log_temperature), labels).sum())

    bounds = (math.log(1e-3), math.log(_HIGHEST))
    return math.exp(float(minimize_scalar(loss, bounds=bounds, method="bounded").x))
