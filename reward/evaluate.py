"""How good is a reward model, measured against the noise in its own labels?

Every number has a twin that counts each pair with its weight. Every pair counts once, and a tie
half. A label is a probability, so even a perfect model is wrong where the coin fell otherwise: the
noise ceiling, the mean of max(p_win, 1 - p_win), is the best accuracy that can be hoped for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abplatform.errors import TrainingError
from reward.dataset import PairTable

__all__ = ["SIGNIFICANT", "Evaluation", "Forecast", "evaluate", "hits", "rank_auc"]

Floats = NDArray[np.float64]

SIGNIFICANT = 0.975
"""A pair whose winner is known at the two-sided 5 % level."""

_BINS = 10
_MARGINS = (0.5, 0.75, 0.9, SIGNIFICANT)
"""Where the pairs of ``by_margin`` begin, by the probability of their likelier winner."""
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What a model says of P pairs over M items.

    Args:
        there: Probability that the chosen creative wins, P.
        back: The same, with both creatives handed over the other way round.
        click_rates: The click rate that it expects of each item, M; None if it says none.
        logit_sd: How far its nets differ about each pair: the standard deviation of the logit, P;
            None of a model that is one.
    """

    there: Floats
    back: Floats
    click_rates: Floats | None = None
    logit_sd: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What `abp reward evaluate --json` prints, and each pair's hit.

    Args:
        numbers: JSON data; a number that cannot be computed is None.
        hit: 1 where the model prefers the likelier winner, 0.5 at a tie, else 0; P.
    """

    numbers: Mapping[str, Any]
    hit: Floats


def evaluate(
    table: PairTable,
    p_chosen: Floats,
    p_chosen_swapped: Floats,
    *,
    click_rates: Floats | None = None,
) -> Evaluation:
    """Compare predictions with soft labels.

    Args:
        table: P pairs.
        p_chosen: The model's probability that the chosen creative wins, P.
        p_chosen_swapped: The same, with both creatives handed to the model the other way round.
        click_rates: The model's click rate of each item, M; None leaves its ranking out.

    Raises:
        TrainingError: A prediction is no number.
    """
    wrong = int((~np.isfinite(p_chosen + p_chosen_swapped)).sum())
    if wrong:
        raise TrainingError(
            f"the model predicts no number for {wrong} of {len(table)} pairs",
            remedy="train it again, or use another checkpoint",
        )
    hit = hits(p_chosen, table.p_win)
    swapped = hits(p_chosen_swapped, table.p_win)
    low, high = _interval(hit, table.component)
    numbers: dict[str, Any] = {
        "pairs": len(table),
        "components": len(np.unique(table.component)),
        **_numbers(p_chosen, table.p_win, table.weight),
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracy_swapped": _mean(swapped),
        "accuracy_swapped_weighted": _mean(swapped, table.weight),
        "ties": int((p_chosen == 0.5).sum()),
        "contradictions": table.contradictions,
        "auc_clicks": None if click_rates is None else _click_auc(table, click_rates),
        "reliability": _reliability(p_chosen, table.p_win),
        "by_category": _split(table, p_chosen, table.categories),
        "by_week": _split(table, p_chosen, table.frame["week"].to_list()),
        "by_margin": _split(table, p_chosen, _margins(table.p_win)),
    }
    return Evaluation(numbers, hit)


def hits(p_chosen: Floats, p_win: Floats) -> Floats:
    """Return 1 where model and label lean the same way, 0.5 where either leans nowhere, else 0."""
    return 0.5 + 0.5 * np.sign(p_chosen - 0.5) * np.sign(p_win - 0.5)


def rank_auc(
    rank: NDArray[np.int64], clicks: NDArray[np.generic], others: NDArray[np.generic]
) -> float | None:
    """Chance that an impression that was clicked ranks above one that was not; ties one half.

    Args:
        rank: Each row's, from 0, equal where predictions are, N.
        clicks: N.
        others: Impressions without a click, N.

    Returns:
        None where there is no click or nothing else.
    """
    clicked, passed = np.bincount(rank, weights=clicks), np.bincount(rank, weights=others)
    if not clicked.sum() or not passed.sum():
        return None
    below = np.cumsum(passed) - passed
    return float((clicked * (below + passed / 2)).sum() / (clicked.sum() * passed.sum()))


def _split(table: PairTable, p_chosen: Floats, keys: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of pairs with each key, keys in order; pairs without one are left out."""
    found, every = {}, np.array(keys)
    for key in sorted(set(keys) - {""}):
        rows = every == key
        of = _numbers(p_chosen[rows], table.p_win[rows], table.weight[rows])
        found[key] = {"pairs": int(rows.sum()), **of}
    return found


def _margins(p_win: Floats) -> list[str]:
    sure = np.maximum(p_win, 1 - p_win)
    ends = [f"{end:g}" for end in (*_MARGINS, 1)]
    names = [f"{low} to {high}" for low, high in pairwise(ends)]
    return [names[index] for index in np.searchsorted(_MARGINS, sure, side="right") - 1]


def _click_auc(table: PairTable, rates: Floats) -> float | None:
    _, rank = np.unique(rates, return_inverse=True)
    return rank_auc(rank, table.clicks, table.impressions - table.clicks)


def _numbers(p_chosen: Floats, p_win: Floats, weight: Floats) -> dict[str, Any]:
    hit = hits(p_chosen, p_win)
    ceiling = np.maximum(p_win, 1 - p_win)
    clear = ceiling >= SIGNIFICANT
    loss = _log_loss(p_chosen, p_win)
    accuracy, best = _mean(hit), _mean(ceiling)
    return {
        "accuracy": accuracy,
        "accuracy_weighted": _mean(hit, weight),
        "pairs_significant": int(clear.sum()),
        "accuracy_significant": _mean(hit[clear]),
        "accuracy_significant_weighted": _mean(hit[clear], weight[clear]),
        "noise_ceiling": best,
        "noise_ceiling_weighted": _mean(ceiling, weight),
        "noise_ceiling_significant": _mean(ceiling[clear]),
        "share_of_ceiling": accuracy / best if accuracy is not None and best else None,
        "log_loss": _mean(loss),
        "log_loss_weighted": _mean(loss, weight),
        "log_loss_adjusted": _mean(_log_loss_of_truth(p_chosen, p_win)),
        "ece": _calibration_error(p_chosen, p_win, np.ones_like(p_win)),
        "ece_weighted": _calibration_error(p_chosen, p_win, weight),
        "ece_adjusted": _adjusted_error(p_chosen, p_win),
    }


def _reliability(p_chosen: Floats, p_win: Floats) -> list[dict[str, Any]]:
    """Return what was said and what was seen in each bin of the preferred side's probability."""
    sure, expected, seen, bins = _promises(p_chosen, p_win)
    return [
        {
            "pairs": int((bins == one).sum()),
            "said": _mean(sure[bins == one]),
            "expected": _mean(expected[bins == one]),
            "seen": _mean(seen[bins == one]),
        }
        for one in np.unique(bins)
    ]


def _promises(p_chosen: Floats, p_win: Floats) -> tuple[Floats, Floats, Floats, Any]:
    """Return for each pair q, the chance that its side won in the log, whether it did, and its bin.

    The side that won in the log is truly better with the reliability π = max(p_win, 1 - p_win), so
    a model that says q of a side should see it win with q·π + (1 - q)·(1 - π).
    """
    sure = np.maximum(p_chosen, 1 - p_chosen)
    reliability = np.maximum(p_win, 1 - p_win)
    expected = sure * reliability + (1 - sure) * (1 - reliability)
    bins = np.minimum(((sure - 0.5) * 2 * _BINS).astype(int), _BINS - 1)
    return sure, expected, hits(p_chosen, p_win), bins


def _mean(values: Floats, weight: Floats | None = None) -> float | None:
    total = float(len(values) if weight is None else weight.sum())
    if total <= 0:
        return None
    return float((values if weight is None else values * weight).sum() / total)


def _log_loss(p_chosen: Floats, p_win: Floats) -> Floats:
    sure = np.clip(p_chosen, 1e-12, 1 - 1e-12)
    return -(p_win * np.log(sure) + (1 - p_win) * np.log1p(-sure))


def _log_loss_of_truth(p_chosen: Floats, p_win: Floats) -> Floats:
    """Loss against winners that may be wrong, ln 2 for knowing nothing.

    The log is ``p_win`` times as likely if the chosen side is better as ``1 - p_win`` if the other
    is, so a model that says q of the chosen side makes it likely by q·p_win + (1 - q)·(1 - p_win).
    """
    sure = np.clip(p_chosen, 1e-12, 1 - 1e-12)
    return -np.log(sure * p_win + (1 - sure) * (1 - p_win))


def _calibration_error(p_chosen: Floats, p_win: Floats, weight: Floats) -> float | None:
    """Expected calibration error over ten bins of the probability of the preferred side.

    Each pair is turned so that the model prefers its first side, as neither order is the right
    one; a bin compares the mean probability with the mean label (Guo et al. 2017, with soft
    labels in place of hits).
    """
    if weight.sum() <= 0:
        return None
    sure = np.maximum(p_chosen, 1 - p_chosen)
    label = np.where(p_chosen >= 0.5, p_win, 1 - p_win)
    label = np.where(p_chosen == 0.5, 0.5, label)
    bins = np.minimum(((sure - 0.5) * 2 * _BINS).astype(int), _BINS - 1)
    gap = np.bincount(bins, weights=weight * (sure - label), minlength=_BINS)
    return float(np.abs(gap).sum() / weight.sum())


def _adjusted_error(p_chosen: Floats, p_win: Floats) -> float | None:
    """Calibration error against winners that may be wrong."""
    if not len(p_win):
        return None
    _, expected, seen, bins = _promises(p_chosen, p_win)
    gap = np.bincount(bins, weights=expected - seen, minlength=_BINS)
    return float(np.abs(gap).sum() / len(p_win))


def _interval(hit: Floats, component: NDArray[np.int64]) -> tuple[float | None, float | None]:
    """Return the 95 % bootstrap interval of the accuracy, drawing whole components."""
    _, number = np.unique(component, return_inverse=True)
    if number.max() < 1:
        return None, None
    total = np.bincount(number, weights=hit)
    pairs = np.bincount(number).astype(np.float64)
    draw = np.random.default_rng(0).integers(0, len(pairs), (_RESAMPLES, len(pairs)))
    accuracy = total[draw].sum(1) / pairs[draw].sum(1)
    low, high = np.quantile(accuracy, [0.025, 0.975])
    return float(low), float(high)
