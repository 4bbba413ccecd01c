"""What training minimises: one loss for each branch of the model.

The pair branch learns either which side is better or by how much:

- ``preference``: cross-entropy of sigmoid(s_chosen - s_rejected) against the soft label ``p_win``;
  a pair counts with its ``weight``.
- ``marginal``: the likelihood of the clicks with the better side unknown. They are p_win times as
  likely if the chosen side is better as if 1 - p_win were the other's, so the loss is
  -log(q·p_win + (1 - q)·(1 - p_win)) with q = sigmoid(s_chosen - s_rejected). What nobody knows
  teaches nothing, without weights, and q is right about the truth instead of about labels that are
  unsure themselves.
- ``difference``: the Gaussian likelihood of the observed difference of log-CTRs around
  s_chosen - s_rejected, with variance s² + τ²: s² from the clicks, τ² for what no model of the
  creatives can know. The K(K - 1)/2 pairs of a product's K creatives count as K - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from abplatform.errors import TrainingError
from reward.dataset import PairTable

__all__ = [
    "Difference",
    "Loss",
    "Marginal",
    "PairLoss",
    "Preference",
    "base_rates",
    "binomial_deviance",
    "log_rate_differences",
    "marginal_likelihood",
    "open_pair_loss",
]

Loss = Literal["preference", "marginal", "difference"]


class PairLoss(Protocol):
    """What the pair branch minimises.

    Args:
        weight: What each pair counts, 1 on average over the training pairs, P.
    """

    weight: Tensor

    def __call__(self, margin: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the weighted loss, summed over rows, of margins s_chosen - s_rejected."""
        ...


class Preference:
    """Cross-entropy against soft labels.

    Args:
        table: P pairs.
        learned: Which of them are trained on, P.
    """

    def __init__(self, table: PairTable, learned: NDArray[np.bool_]) -> None:
        self.weight = _normalised(table.weight, learned)
        self._p_win = torch.from_numpy(table.p_win).float()

    def __call__(self, margin: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the loss; see the protocol."""
        each = functional.binary_cross_entropy_with_logits(
            margin, self._p_win[rows], reduction="none"
        )
        return (self.weight[rows] * each).sum()


class Marginal:
    """Likelihood of the clicks, whichever side is better.

    Args:
        table: P pairs.
        learned: Which of them are trained on, P.
    """

    def __init__(self, table: PairTable, learned: NDArray[np.bool_]) -> None:
        self.weight = _normalised(_independent_share(table), learned)
        self._p_win = torch.from_numpy(table.p_win).float()

    def __call__(self, margin: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the loss; see the protocol."""
        return (self.weight[rows] * marginal_likelihood(margin, self._p_win[rows])).sum()


class Difference:
    """Gaussian likelihood of observed differences of log-CTR.

    Args:
        table: P pairs.
        learned: Which of them are trained on, P; only they tell τ.

    Raises:
        TrainingError: A side of a pair has no impressions.
    """

    def __init__(self, table: PairTable, learned: NDArray[np.bool_]) -> None:
        value, variance = log_rate_differences(table.frame)
        # moments around zero, as pairs have no direction (DerSimonian & Laird 1986)
        excess = (value[learned] ** 2 / variance[learned]).sum() - learned.sum()
        self.tau2 = max(0.0, float(excess / (1 / variance[learned]).sum()))
        self.weight = _normalised(_independent_share(table), learned)
        self._value = torch.from_numpy(value).float()
        self._precision = torch.from_numpy(1 / (variance + self.tau2)).float()

    def __call__(self, margin: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the loss; see the protocol."""
        each = 0.5 * (margin - self._value[rows]) ** 2 * self._precision[rows]
        return (self.weight[rows] * each).sum()


def marginal_likelihood(margin: Tensor, p_win: Tensor) -> Tensor:
    """Return -log(q·p_win + (1 - q)·(1 - p_win)) with q = sigmoid(margin), elementwise."""
    ours = functional.logsigmoid(margin) + p_win.log()
    theirs = functional.logsigmoid(-margin) + (1 - p_win).log()
    return -torch.logaddexp(ours, theirs)


def open_pair_loss(name: Loss, table: PairTable, learned: NDArray[np.bool_]) -> PairLoss:
    """Return the loss of this name over P pairs, of which ``learned`` are trained on.

    Raises:
        TrainingError: ``difference`` is asked of pairs without impressions.
    """
    found: dict[Loss, type[Preference | Marginal | Difference]] = {
        "preference": Preference,
        "marginal": Marginal,
        "difference": Difference,
    }
    return found[name](table, learned)


def _independent_share(table: PairTable) -> NDArray[np.float64]:
    """Return 2/K of each pair: the K(K - 1)/2 pairs of K creatives hold K - 1 comparisons."""
    pairs = np.bincount(table.group)[table.group]
    share: NDArray[np.float64] = 4 / (1 + np.sqrt(1 + 8 * pairs))
    return share


def _normalised(weight: NDArray[np.float64], learned: NDArray[np.bool_]) -> Tensor:
    mean = max(float(weight[learned].mean()), 1e-12)
    return torch.from_numpy(weight / mean).float()


def log_rate_differences(
    pairs: pl.DataFrame,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return chosen minus rejected log-CTR and its sampling variance by the delta method, P.

    Raises:
        TrainingError: A side of a pair has no impressions.
    """
    value, variance = np.zeros(len(pairs)), np.zeros(len(pairs))
    for sign, side in ((1, "chosen"), (-1, "rejected")):
        impressions = pairs[f"impressions_{side}"].to_numpy()
        clicks = pairs[f"clicks_{side}"].to_numpy() + 0.5
        if (impressions <= 0).any():
            unseen = pairs["pair_id"][int((impressions <= 0).argmax())]
            raise TrainingError(
                f"pair {unseen!r} tells no impressions, which `loss: difference` learns from",
                remedy="add impressions and clicks of both sides, or train with `preference`",
            )
        value += sign * np.log(clicks / impressions)
        variance += 1 / clicks
    return value, variance


def binomial_deviance(logit: Tensor, clicks: Tensor, impressions: Tensor) -> Tensor:
    """Half the binomial deviance of each item: 0 where sigmoid(logit) = clicks / impressions."""
    misses = impressions - clicks
    fitted = clicks * functional.logsigmoid(logit) + misses * functional.logsigmoid(-logit)
    best = torch.xlogy(clicks, clicks / impressions) + torch.xlogy(misses, misses / impressions)
    return best - fitted


def base_rates(
    table: PairTable, base: NDArray[np.int64], paths: Sequence[str]
) -> tuple[NDArray[np.float64], float]:
    """Return the log-odds of a click in each category, and how far items scatter around them.

    Args:
        table: Pairs over M items.
        base: Index of each item's category, M: its place in ``paths`` from 1; 0 for none of them.
        paths: Categories; each one's rate is that of all items at or below it.

    Returns:
        1 + len(paths) log-odds, the first of all categories together, and Pearson's dispersion, at
        least 1: the factor by which clicks vary more than binomially, because pictures differ
        (McCullagh & Nelder 1989, ch. 4.5).
    """
    seen = table.impressions > 0
    if not seen.any():
        return np.zeros(1 + len(paths)), 1.0
    category = np.array([f"{item.category}/" for item in table.items])
    rate = np.empty(1 + len(paths))
    for index, path in enumerate(["", *paths]):
        here = seen & (np.char.startswith(category, f"{path}/") if path else True)
        of = here if here.any() else seen
        rate[index] = (table.clicks[of].sum() + 0.5) / (table.impressions[of].sum() + 1)
    own = rate[base[seen]]
    expected = table.impressions[seen] * own
    pearson = (table.clicks[seen] - expected) ** 2 / (expected * (1 - own))
    dispersion = float(pearson.sum() / max(1, seen.sum() - len(paths)))
    return np.log(rate / (1 - rate)), max(1.0, dispersion)
