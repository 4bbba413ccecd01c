"""How good are probabilities of a click, on impressions that no model has seen?

Every number counts impressions, so that a row of k clicks in n tells as much as n rows would.

References:
    He, X. et al. (2014). Practical lessons from predicting clicks on ads at Facebook. ADKDD:
    normalised entropy.
    Cox, D. R. (1958). Two further applications of a model for binary regression. Biometrika 45:
    slope and intercept of calibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from reward.effects.encoding import Rows
from reward.evaluate import rank_auc

__all__ = ["Quality", "Ranking", "measure", "rank_models"]

Floats = NDArray[np.float64]

_BINS = 10
_RUNS = 1000
_STEPS = 50
_STEEPEST = 100.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Numbers of one model; None where one can't be computed.

    Args:
        log_loss: In nats by impression.
        normalised_entropy: Log-loss by that of whoever knew the tested rows' rate and nothing
            else; below 1 the model tells something.
        calibration_error: Mean distance of predicted and actual rate over ten bins of about as
            many impressions; noise alone keeps it above 0.
        calibration_slope: Of actual on predicted log odds: below 1 predictions are too far apart.
        calibration_intercept: Of the same line.
    """

    log_loss: float
    normalised_entropy: float
    calibration_error: float
    calibration_slope: float | None
    calibration_intercept: float | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well one model ranks; intervals are 95 % bootstrap intervals.

    Args:
        auc: Chance that a clicked impression is rated above another one; ties one half.
        auc_low: Its interval's lower end.
        auc_high: Its upper end.
        auc_gain: AUC less the reference's; None for the reference, and without one.
        auc_gain_low: Its interval's lower end.
        auc_gain_high: Its upper end.
    """

    auc: float
    auc_low: float
    auc_high: float
    auc_gain: float | None = None
    auc_gain_low: float | None = None
    auc_gain_high: float | None = None


def measure(chance: Floats, rows: Rows) -> Quality:
    """Compare probabilities, N, strictly within 0 and 1, with what was clicked."""
    clicks, others = rows.clicks, rows.impressions - rows.clicks
    loss = -(clicks @ np.log(chance) + others @ np.log1p(-chance)) / rows.impressions.sum()
    entropy = -(rows.rate * np.log(rows.rate) + (1 - rows.rate) * np.log1p(-rows.rate))
    line = _calibration_line(chance, rows)
    return Quality(
        log_loss=float(loss),
        normalised_entropy=float(loss / entropy),
        calibration_error=_calibration_error(chance, rows),
        calibration_slope=line[0] if line else None,
        calibration_intercept=line[1] if line else None,
    )


def rank_models(
    chances: Mapping[str, Floats],
    rows: Rows,
    unit: NDArray[np.int64],
    *,
    reference: str | None,
    seed: int,
) -> dict[str, Ranking]:
    """Return each model's AUC and how much more it is than another model's.

    All models are measured on the same draws, so that what makes a draw easy cancels. A draw
    without a click has no AUC and is left out.

    Args:
        chances: Model to probabilities, N.
        rows: What was clicked; some impressions were, and some were not.
        unit: Rows of a unit are drawn together, N.
        reference: The model that others are compared with; None compares none.
        seed: Decides the draws.
    """
    others = rows.impressions - rows.clicks
    ranks = {name: np.unique(chance, return_inverse=True)[1] for name, chance in chances.items()}
    draws = [np.ones(len(rows)), *_draw_times(unit, seed)]
    found = {
        name: np.array(
            [rank_auc(rank, rows.clicks * times, others * times) for times in draws],
            dtype=np.float64,  # None becomes NaN
        )
        for name, rank in ranks.items()
    }
    rankings = {}
    for name, aucs in found.items():
        gain = aucs - found[reference] if reference and name != reference else None
        rankings[name] = Ranking(*_spread(aucs), *(() if gain is None else _spread(gain)))
    return rankings


def _draw_times(unit: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield how often each row is drawn, N, when units are drawn with replacement."""
    _, member = np.unique(unit, return_inverse=True)
    rng, units = np.random.default_rng(seed), int(member.max()) + 1
    for _ in range(_RUNS):
        yield np.bincount(rng.integers(0, units, units), minlength=units)[member]


def _spread(values: Floats) -> tuple[float, float, float]:
    """Return the first value and the interval of the others."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return float(values[0]), float(low), float(high)


def _calibration_error(chance: Floats, rows: Rows) -> float:
    values, rank = np.unique(chance, return_inverse=True)
    shown = np.bincount(rank, weights=rows.impressions)
    # by the middle of what is predicted equal, so that it stays in one bin
    middle = np.cumsum(shown) - shown / 2
    bins = np.minimum((middle / shown.sum() * _BINS).astype(np.int64), _BINS - 1)
    clicks = np.bincount(rank, weights=rows.clicks)
    gap = np.bincount(bins, weights=shown * values - clicks, minlength=_BINS)
    return float(np.abs(gap).sum() / shown.sum())


def _calibration_line(chance: Floats, rows: Rows) -> tuple[float, float] | None:
    """Return slope and intercept of a logistic regression of clicks on predicted log odds.

    Newton's method from the flat line; None where predictions are all equal or part clicks from
    the rest so well that the slope has no end.
    """
    odds = logit(chance)
    centre = float(np.average(odds, weights=rows.impressions))
    design = np.stack([np.ones_like(odds), odds - centre])
    if np.ptp(odds) < 1e-9:
        return None
    found = np.array([float(logit(rows.rate)), 0.0])
    for _ in range(_STEPS):
        expected = expit(found @ design)
        bend = (design * (rows.impressions * expected * (1 - expected))) @ design.T
        if np.linalg.cond(bend) > 1e15:
            return None
        step = np.linalg.solve(bend, design @ (rows.clicks - rows.impressions * expected))
        found = found + step
        if np.abs(found).max() > _STEEPEST:
            return None
        if np.abs(step).max() < 1e-10:
            return float(found[1]), float(found[0] - found[1] * centre)
    return None
