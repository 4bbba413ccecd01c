"""The lifts of many categories together: users span categories, so their errors are correlated.

The log-ratio of category c, y_c = log(r_tc / r_cc), has in each variant the unit scores

    ψ_i,c = (k_ic - r_c·n_ic) / (r_c·Σn_c)  =  k_ic/Σk_c - n_ic/Σn_c

and the joint covariance of the y is Σ over both variants of U/(U - 1) · Σ_i ψ_i ψ_i'. U counts
every unit of the variant, whichever categories it saw. Tests on impressions (Breslow-Day,
Cochran's Q) take the units' clusters for independent trials and reject a true null 2-63 % of the
time; these are not offered.

References:
    Liang, K.-Y., Zeger, S. L. (1986). Longitudinal data analysis using generalized linear models.
    Biometrika 73(1), 13-22.
    Greenland, S., Robins, J. M. (1985). Estimation of a common effect parameter from sparse
    follow-up data. Biometrics 41(1), 55-68 (the weights).
    Hotelling, H. (1931). The generalization of Student's ratio. Ann. Math. Stat. 2(3), 360-378.
    Pan, W., Wall, M. M. (2002). Small-sample adjustments in using the sandwich variance estimator
    in generalized estimating equations. Statistics in Medicine 21, 1429-1441.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from abplatform.stats.moments import UnitMoments, ratio_score, score_products
from abplatform.stats.ratio import (
    Interval,
    RatioContrast,
    RatioSums,
    Undetermined,
    find_obstacle,
    normal_critical_value,
)

__all__ = [
    "JointLifts",
    "PooledLift",
    "WaldTest",
    "independent_lifts",
    "is_reversed",
    "joint_lifts",
    "pool",
    "steady_covariance",
    "wald_heterogeneity",
]

Matrix = npt.NDArray[np.float64]

_RANK_TOLERANCE = 1e-10
"""Eigenvalues of a covariance below this share of the largest count as zero."""

_NO_LOGARITHM = Undetermined("no_positive_rate: a rate of zero or below has no logarithm")
_NO_CATEGORY = Undetermined("no_traffic: no category has been seen")


@dataclass(frozen=True, slots=True, eq=False)
class JointLifts:
    """The log-ratios of C categories of one contrast.

    Args:
        names: The categories kept, in the order given.
        log_lifts: log(r_t / r_c), shape (C,).
        covariance: Of ``log_lifts``, shape (C, C).
        weights: Mantel-Haenszel weights of the pooled lift, shape (C,), summing to 1.
        effective_units: How many independent units with an event the covariance rests on at most;
            infinite where the variance is not estimated from units.
        left_out: Category to why it has no log-ratio.
    """

    names: tuple[str, ...]
    log_lifts: Matrix
    covariance: Matrix
    weights: Matrix
    effective_units: float = math.inf
    left_out: Mapping[str, Undetermined] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PooledLift:
    """The lift within categories, their different traffic set aside.

    Args:
        log_lift: Σ w_c·y_c.
        se: Its standard error from the joint covariance.
        z: ``log_lift / se``.
        p_value: Two-sided, normal; 2.2e-308 where it underflows.
        relative_lift: exp(log_lift) - 1.
        interval: Of the relative lift at 1 - alpha.
    """

    log_lift: float
    se: float
    z: float
    p_value: float
    relative_lift: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class WaldTest:
    """Do categories differ in their lift by more than chance?

    Args:
        statistic: The Wald statistic, (Ly)'(LVL')⁺(Ly) over the contrasts L between categories.
        df: Its degrees of freedom, the rank of LVL'; C - 1 unless the covariance is singular.
        denominator_df: Of the F reference; infinite where it is chi-square.
        p_value: Upper tail; 2.2e-308 where it underflows.
    """

    statistic: float
    df: int
    denominator_df: float
    p_value: float


def joint_lifts(
    control: UnitMoments, treatment: UnitMoments, *, event: str = "click"
) -> JointLifts | Undetermined:
    """Return the log-ratios of all categories and their unit-clustered covariance.

    A category with fewer than 5 units with an event in a variant, or with a rate that is not
    above zero, has no usable logarithm and is left out with its reason.

    Args:
        control: Kinds ``k``, ``n``, ``u`` over the categories that the control saw.
        treatment: Likewise; its categories may be others.
        event: What a numerator counts, for the reasons.
    """
    left_out: dict[str, Undetermined] = {}
    kept: list[tuple[str, RatioSums, RatioSums]] = []
    for name in dict.fromkeys([*control.places, *treatment.places]):
        ours, theirs = (_sums_at(name, moments) for moments in (control, treatment))
        obstacle = find_obstacle(ours, theirs, share=False, event=event)
        if obstacle is None and min(ours.k, theirs.k, ours.n, theirs.n) <= 0:
            obstacle = _NO_LOGARITHM
        if obstacle is None:
            kept.append((name, ours, theirs))
        else:
            left_out[name] = obstacle
    if not kept:
        return next(iter(left_out.values()), _NO_CATEGORY)
    names = [name for name, _, _ in kept]
    return JointLifts(
        names=tuple(names),
        # k_t·n_c / (k_c·n_t) in integers, which the division rounds once.
        log_lifts=np.array([math.log((t.k * c.n) / (c.k * t.n)) for _, c, t in kept]),
        covariance=_covariance(control, names) + _covariance(treatment, names),
        weights=_mantel_haenszel(
            [(c.k / c.n, c.n) for _, c, _ in kept], [(t.k / t.n, t.n) for _, _, t in kept]
        ),
        effective_units=_effective_units(control, names) + _effective_units(treatment, names),
        left_out=left_out,
    )


def independent_lifts(
    contrasts: Mapping[str, RatioContrast | Undetermined],
    denominators: Mapping[str, tuple[int, int]],
) -> JointLifts | Undetermined:
    """Return the log-ratios of categories whose errors are independent of each other.

    That holds where every trial stands alone: pre-aggregated reports and ``unit: request_id``.

    Args:
        contrasts: Category to its own contrast, whose variances are kept as they are.
        denominators: Category to Σn of control and treatment.
    """
    left_out: dict[str, Undetermined] = {}
    kept: dict[str, tuple[float, float]] = {}
    for name, one in contrasts.items():
        if isinstance(one, Undetermined):
            left_out[name] = one
            continue
        log_lift, variance = one.log_ratio, one.log_ratio_variance
        if isinstance(log_lift, Undetermined) or isinstance(variance, Undetermined):
            left_out[name] = _NO_LOGARITHM
        else:
            kept[name] = (log_lift, variance)
    if not kept:
        return next(iter(left_out.values()), _NO_CATEGORY)
    rates = {name: one for name, one in contrasts.items() if isinstance(one, RatioContrast)}
    return JointLifts(
        names=tuple(kept),
        log_lifts=np.array([log_lift for log_lift, _ in kept.values()]),
        covariance=np.diag([variance for _, variance in kept.values()]),
        weights=_mantel_haenszel(
            [(rates[name].rate_control, denominators[name][0]) for name in kept],
            [(rates[name].rate_treatment, denominators[name][1]) for name in kept],
        ),
        left_out=left_out,
    )


def pool(joint: JointLifts, *, alpha: float = 0.05) -> PooledLift | Undetermined:
    """Return the lift common to all categories, with a variance that clusters by unit.

    The weights are Mantel-Haenszel's, w_c ∝ r̄_c·n_c·n_t/(n_c + n_t): they follow from traffic and
    pooled rates. Weights by the inverse of the estimated covariance would chase its noise.

    Args:
        joint: The categories.
        alpha: Two-sided error rate of the interval.
    """
    log_lift = float(joint.weights @ joint.log_lifts)
    variance = float(joint.weights @ joint.covariance @ joint.weights)
    if variance <= 0:
        return Undetermined("no_variance: every unit has the same rates")
    se = math.sqrt(variance)
    half = normal_critical_value(alpha) * se
    return PooledLift(
        log_lift=log_lift,
        se=se,
        z=log_lift / se,
        p_value=max(math.erfc(abs(log_lift / se) / math.sqrt(2)), sys.float_info.min),
        relative_lift=math.expm1(log_lift),
        interval=Interval(math.expm1(log_lift - half), math.expm1(log_lift + half)),
    )


def wald_heterogeneity(joint: JointLifts) -> WaldTest | Undetermined:
    """Test whether all categories have the same lift.

    The covariance is estimated, so that it is steadied (:func:`steady_covariance`) and the
    reference is Hotelling's: with m effective units and q contrasts, (m - q + 1)/(m·q) times the
    statistic against F(q, m - q + 1). At 300 heavy-tailed users a variant over 8 categories,
    chi-square and the raw covariance reject a true null 13 % of the time where 5 % is stated.

    Args:
        joint: The categories.
    """
    size = len(joint.names)
    if size < 2:
        return Undetermined("one_category: a single category cannot differ from others")
    contrasts = _contrasts(size)
    apart = contrasts @ joint.log_lifts
    values, vectors = np.linalg.eigh(contrasts @ steady_covariance(joint) @ contrasts.T)
    usable = values > _RANK_TOLERANCE * max(float(values.max()), 0.0)
    rank = int(usable.sum())
    if not rank:
        return Undetermined("no_variance: every unit has the same rates")
    statistic = float((((vectors.T @ apart)[usable]) ** 2 / values[usable]).sum())
    effective = joint.effective_units
    if effective - rank + 1 <= 0:
        return Undetermined(
            f"few_units: the covariance of {size} categories rests on {effective:.0f} independent "
            "units with an event, fewer than it has dimensions"
        )
    p_value = _upper_tail(statistic, rank, effective)
    return WaldTest(statistic, rank, effective - rank + 1, p_value)


def steady_covariance(joint: JointLifts) -> Matrix:
    """Return the covariance with its correlations pulled towards their mean.

    C(C - 1)/2 correlations are estimated from few units that clicked in two categories, and an
    inverse chases their noise. The share pulled is what noise explains of their scatter,

        min(1, (1 - r̄²)²/m / mean((r_cd - r̄)²)),   m = effective units

    Variances are kept. A mixture of two correlation matrices is one itself.

    Args:
        joint: The categories.

    References:
        Schäfer, J., Strimmer, K. (2005). A shrinkage approach to large-scale covariance matrix
        estimation. Stat. Appl. Genet. Mol. Biol. 4(1), target F.
    """
    size = len(joint.names)
    deviation = np.sqrt(np.diag(joint.covariance))
    if size < 3 or math.isinf(joint.effective_units) or not deviation.all():
        return joint.covariance
    correlation = joint.covariance / np.outer(deviation, deviation)
    apart = correlation[np.triu_indices(size, k=1)]
    mean = float(apart.mean())
    scatter = float(((apart - mean) ** 2).mean())
    noise = (1 - mean**2) ** 2 / joint.effective_units
    share = min(1.0, noise / scatter) if scatter > 0 else 1.0
    steadied = (1 - share) * correlation + share * mean
    np.fill_diagonal(steadied, 1.0)
    found: Matrix = steadied * np.outer(deviation, deviation)
    return found


def is_reversed(overall_z: float, pooled_z: float, *, alpha: float = 0.05) -> bool:
    """Whether a contrast points one way overall and the other way within categories.

    Both must be distinguishable from zero, each at alpha: near zero, signs differ by chance.

    Args:
        overall_z: Of everything together.
        pooled_z: Of the lift pooled within categories.
        alpha: Two-sided error rate of each.

    References:
        Simpson, E. H. (1951). The interpretation of interaction in contingency tables. JRSS B 13.
    """
    critical = normal_critical_value(alpha)
    return overall_z * pooled_z < 0 and min(abs(overall_z), abs(pooled_z)) > critical


def _sums_at(name: str, moments: UnitMoments) -> RatioSums:
    if name not in moments.places:
        return RatioSums(0, 0, 0, 0, 0, 0, 0, 0)
    return moments.ratio_sums(moments.places.index(name))


def _covariance(moments: UnitMoments, names: Sequence[str]) -> Matrix:
    scores = [ratio_score(moments, moments.places.index(name), log=True) for name in names]
    units = int(moments.sums[moments.at("u")].sum())
    return score_products(moments, scores) * (units / (units - 1))


def _effective_units(moments: UnitMoments, names: Sequence[str]) -> float:
    k, places = moments.at("k"), [moments.places.index(name) for name in names]
    squares = moments.products[k][:, k][np.ix_(places, places)].sum()
    return float(moments.sums[k][places].sum() ** 2 / squares)


def _mantel_haenszel(
    control: Sequence[tuple[float, int]], treatment: Sequence[tuple[float, int]]
) -> Matrix:
    """Return r̄·n_c·n_t/(n_c + n_t) from rates and denominators, summing to 1."""
    raw = np.array(
        [
            (rate_c * n_c + rate_t * n_t) / (n_c + n_t) * n_c / (n_c + n_t) * n_t
            for (rate_c, n_c), (rate_t, n_t) in zip(control, treatment, strict=True)
        ]
    )
    weights: Matrix = raw / raw.sum()
    return weights


def _contrasts(size: int) -> Matrix:
    """Return Helmert's orthonormal contrasts, shape (size - 1, size): rows sum to zero."""
    rows = np.tril(np.ones((size - 1, size)))
    rows[np.arange(size - 1), np.arange(1, size)] = -np.arange(1, size)
    normed: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normed


def _upper_tail(statistic: float, rank: int, effective: float) -> float:
    from scipy.special import chdtrc, fdtrc

    if math.isinf(effective):
        p = chdtrc(rank, statistic)
    else:
        below = effective - rank + 1
        p = fdtrc(rank, below, statistic * below / (effective * rank))
    return max(float(p), sys.float_info.min)
