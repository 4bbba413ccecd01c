"""Creatives compared within strata, where a policy that learns chose what was shown.

A policy that moves traffic towards what is clicked shows its favourite on other days than the
others. Pooled over days, whatever differs between days is then taken for a difference of creatives.
Within a stratum (what could be drawn and with which probabilities, in one variant on one day)
propensities are constant, so which creative a unit sees tells nothing about the unit. Clicks of
creative j in stratum s are Poisson with mean n_js·exp(θ_j + β_s); given its clicks K_s, stratum s
says of θ what a multinomial says,

    p_js = n_js·e^θj / S_s,   S_s = Σ_j n_js·e^θj
    information  Σ_s K_s·(diag(p_s) - p_s·p_s')

which combines strata by inverse variance without an estimate of any β_s, so that thousands of
strata with a click each do no harm. Variants share no stratum. They share days, and units are
randomised between them: given a day's clicks, variant v has the share T_v / ΣT, T_v = Σ_s S_s.
That adds K_d·(Σ_v q_v·a_v·a_v' - ā·ā') with a_v the gradient of log T_v. Where strata change within
a day and the level of clicks does, too, this second step keeps an error of second order.

References:
    Chamberlain, G. (1980). Analysis of covariance with qualitative data. Rev. Econ. Stud. 47.
    Zhang, Janson & Murphy (2020). Inference for batched bandits. NeurIPS 33.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Strata", "StratifiedRates", "stratified_rates"]

Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ROUNDS = 60
_CONVERGED = 1e-10
_LONGEST_STEP = 1.0
_LEAST_INFORMATION = 1e-3
"""What has less is not linked: its contrast's standard error of 30 leaves the prior alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """The cells of one product: a creative in a stratum on a day.

    Args:
        creative: Which of the K creatives, shape (C,).
        stratum: Which of the strata of variant and day, shape (C,).
        variant_of: Each stratum's variant, shape (S,).
        day_of: Each stratum's day, shape (S,).
        impressions: n_js, shape (C,), all positive.
        clicks: k_js, shape (C,).
    """

    creative: Index
    stratum: Index
    variant_of: Index
    day_of: Index
    impressions: Matrix
    clicks: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class StratifiedRates:
    """Log-rates of a product's creatives, up to a common constant.

    Args:
        log_rates: θ̂, shape (K,), zero on average.
        covariance: Of their contrasts, shape (K, K).
        information: The inverse on contrasts, shape (K, K).
    """

    log_rates: Matrix
    covariance: Matrix
    information: Matrix


def stratified_rates(
    strata: Strata, *, creatives: int, design_effect: float = 1.0
) -> StratifiedRates:
    """Estimate log-rates within strata.

    Half a click is added to every creative, spread over its strata as its impressions are; with a
    single stratum that is the estimate of :mod:`abplatform.stats.pairs`.

    Args:
        strata: The cells.
        creatives: K.
        design_effect: What impressions and clicks are divided by.
    """
    shown = np.bincount(strata.creative, strata.impressions, minlength=creatives)
    clicks = strata.clicks / design_effect + 0.5 * strata.impressions / shown[strata.creative]
    pooled = np.bincount(strata.creative, clicks, minlength=creatives) / np.maximum(shown, 1)
    theta = np.log(np.maximum(pooled, 1e-12))
    theta -= theta.mean()
    for _ in range(_ROUNDS):
        score, information = _score(strata, theta, clicks)
        step = _inverse(information) @ score
        longest = float(np.abs(step).max())
        theta = theta + step * min(1.0, _LONGEST_STEP / max(longest, 1e-300))
        if longest < _CONVERGED:
            break
    _, information = _score(strata, theta, clicks)
    return StratifiedRates(theta - theta.mean(), _inverse(information), information)


def _score(strata: Strata, theta: Matrix, clicks: Matrix) -> tuple[Matrix, Matrix]:
    """Return gradient, shape (K,), and expected information, shape (K, K), of both steps."""
    size, count = len(theta), len(strata.variant_of)
    expected = np.zeros((count, size))
    seen = np.zeros((count, size))
    mean = strata.impressions * np.exp(theta[strata.creative])
    np.add.at(expected, (strata.stratum, strata.creative), mean)
    np.add.at(seen, (strata.stratum, strata.creative), clicks)
    score, information = _multinomial(seen, expected)
    places = np.stack([strata.day_of, strata.variant_of], axis=1)
    cells, place = np.unique(places, axis=0, return_inverse=True)
    place = place.reshape(-1)
    parts = np.zeros((len(cells), size))
    np.add.at(parts, place, expected)
    total = parts.sum(axis=1)
    got = np.bincount(place, seen.sum(axis=1), minlength=len(cells))
    slopes = parts / total[:, None]  # (cells, K): gradient of log T_v
    _, day = np.unique(cells[:, 0], return_inverse=True)
    day = day.reshape(-1)
    by_day = np.bincount(day, got)[day]
    share = total / np.bincount(day, total)[day]
    score += (got - by_day * share) @ slopes
    middle = np.zeros((int(day.max()) + 1, size))
    np.add.at(middle, day, share[:, None] * slopes)
    information += np.einsum("c,cj,cl->jl", by_day * share, slopes, slopes)
    information -= np.einsum("d,dj,dl->jl", np.bincount(day, got), middle, middle)
    return score, information


def _multinomial(seen: Matrix, expected: Matrix) -> tuple[Matrix, Matrix]:
    share = expected / expected.sum(axis=1, keepdims=True)
    total = seen.sum(axis=1)
    fitted = total @ share
    information = np.diag(fitted) - np.einsum("s,sj,sl->jl", total, share, share)
    return seen.sum(axis=0) - fitted, information


def _inverse(information: Matrix) -> Matrix:
    """Invert on contrasts; what no stratum links gets a standard error beyond all rates."""
    size = len(information)
    middle = np.eye(size) - 1 / size
    values, vectors = np.linalg.eigh(middle @ information @ middle)
    # The constant's direction has the value 0 and the vector 1/√K; it is left out below.
    inverse: Matrix = middle @ (
        (vectors / np.maximum(values, _LEAST_INFORMATION)) @ vectors.T @ middle
    )
    return inverse
