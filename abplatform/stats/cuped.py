"""CUPED for ratio metrics: what units did before the experiment explains part of their noise.

Randomisation makes pre-period covariates x equal in expectation across variants, so that what they
explain of a rate's error can be taken out without bias (Deng et al. 2013). A rate r = Σk/Σn has the
scores ψ_i = (k_i - r_v·n_i)/n̄_v, whose mean is its error; the pooled least-squares regression of ψ
on x, centred within each variant, gives θ, one for all variants:

    θ       = (Σ_v Σ_i (x_i - x̄_v)(x_i - x̄_v)ᵀ)⁻¹ · Σ_v Σ_i (x_i - x̄_v)·ψ_i
    r_v'    = r_v - θᵀ(x̄_v - x̄)                       x̄: over the units of all variants
    var r_v' = 1/(U_v(U_v - 1)) · Σ_i (ψ_i - θᵀ(x_i - x̄_v))²

The adjusted rates go through the same Fieller test as raw ones, and take the raw ones' place: a
contrast has one p-value. The pre-period totals of numerator and denominator are two covariates,
which holds the one-covariate form of arXiv:1803.06336 (their linearised ratio) as a special case; a
single column, such as a prediction that knows nothing of the assignment, is CUPAC. x̄ counts as a
given reference population: it shifts both rates alike and leaves their difference, and p, alone.

Units without a pre-period have totals of zero, which is a value like any other: it costs some of
the gain and no validity, as long as they are as many in every variant. A covariate whose means
differ between variants by more than chance (p < 0.0001 by chi-square, pooled variance) was not
known before the assignment, or is not logged alike, and would carry that difference into the lift:
it is left out with the reason, and so is one that never varies, or that the others already say.
Everything is computed from exact sums (:mod:`abplatform.stats.moments`), also for the running
totals of daily looks, and the adjusted scores stay linear in the units' totals.

References:
    Deng, A., Xu, Y., Kohavi, R., Walker, T. (2013). Improving the sensitivity of online controlled
    experiments by utilizing pre-experiment data. WSDM 2013.
    Deng, A., Knoblich, U., Lu, J. (2018). Applying the delta method in metric analytics.
    KDD 2018, arXiv:1803.06336.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from abplatform.stats.fieller import RateEstimate, RatioContrast, compare_rates
from abplatform.stats.moments import Score, UnitMoments, score_products
from abplatform.stats.ratio import find_obstacle, is_small
from abplatform.stats.undetermined import Undetermined

__all__ = [
    "MIN_UNITS",
    "UNBALANCED_P",
    "Adjustment",
    "adjust_rates",
    "contrast_adjusted",
    "variance_reduction",
]

MIN_UNITS = 50
"""Below this many units in total there is no adjustment: θ would be mostly noise."""

UNBALANCED_P = 1e-4
"""Below this p-value the variants' means of a covariate do not differ by chance."""

_LEAST_UNEXPLAINED = 1e-9
"""A covariate of whose variance the others leave no more than this says nothing new."""


@dataclass(frozen=True, slots=True, eq=False)
class Adjustment:
    """Rates of all variants, adjusted with one θ.

    Args:
        theta: Covariate to its coefficient; those left out are missing.
        rates: Variant to its adjusted rate; only variants that have a rate and a variance.
        scores: Variant to ψ_i'/U_v, the adjusted rate's score as a linear function of the totals.
        reason: Why covariates were left out, or None.
    """

    theta: Mapping[str, float]
    rates: Mapping[str, RateEstimate]
    scores: Mapping[str, Score]
    reason: str | None = None

    def log_score(self, variant: str) -> Score | Undetermined:
        """Return the score of the logarithm of a variant's adjusted rate."""
        rate, score = Fraction(self.rates[variant].value), self.scores[variant]
        if rate <= 0:
            return Undetermined("no_positive_rate: a rate of zero or below has no logarithm")
        return Score(score.weights * rate.denominator, score.divisor * rate.numerator)


def adjust_rates(
    moments: Mapping[str, UnitMoments],
    *,
    covariates: Sequence[str],
    place: int = -1,
    theta: Mapping[str, float] | None = None,
) -> Adjustment:
    """Adjust each variant's rate k/n by covariates.

    Args:
        moments: Variant to moments of running totals with the kinds ``k``, ``n``, ``u`` and the
            covariates.
        covariates: Kinds that hold them, the most telling first.
        place: Up to which place totals count; default the last.
        theta: Coefficients to use instead of the pooled least-squares ones.

    Returns:
        The adjusted rates; without usable covariates the raw ones and the reason.
    """
    usable = {name: one for name, one in moments.items() if _has_rate(one, place)}
    if theta is None:
        theta, reason = _fit(usable, covariates, place)
    else:
        reason = None
    exact = {name: Fraction(value) for name, value in theta.items()}
    units = sum(one.counts[place].units for one in usable.values())
    means = {
        name: Fraction(sum(int(one.sums[one.at(name), place]) for one in usable.values()), units)
        for name in exact
    }
    scores = {name: _score(one, place, exact) for name, one in usable.items()}
    rates = {
        name: _rate(one, place, scores[name], exact=exact, means=means)
        for name, one in usable.items()
    }
    return Adjustment(theta, rates, scores, reason)


def contrast_adjusted(
    adjustment: Adjustment,
    moments: Mapping[str, UnitMoments],
    *,
    control: str,
    treatment: str,
    place: int = -1,
    alpha: float = 0.05,
    share: bool = False,
    event: str = "click",
) -> RatioContrast | Undetermined:
    """Compare two adjusted rates by the Fieller test.

    Args:
        adjustment: Of these moments at this place.
        moments: Say how many units and events there are; obstacles are those of raw rates.
        control: The control's name.
        treatment: The treatment's name.
        place: As in :func:`adjust_rates`.
        alpha: Two-sided error rate.
        share: Whether numerators count trials of the denominator.
        event: What a numerator counts, for the reasons.

    Returns:
        The contrast, whose design effect is that of the raw rates, or why there is none.
    """
    ours, theirs = (moments[name].ratio_sums(place) for name in (control, treatment))
    obstacle = find_obstacle(ours, theirs, share=share, event=event)
    if obstacle is not None:
        return obstacle
    rates = adjustment.rates[control], adjustment.rates[treatment]
    left = sum(rate.variance for rate in rates)
    if left <= _LEAST_UNEXPLAINED * (ours.variance + theirs.variance):
        return Undetermined(
            "covariate_is_the_outcome: the covariates explain all of the metric, so they are not "
            "from before the experiment"
        )
    result = compare_rates(
        *rates,
        alpha=alpha,
        small_sample=is_small(ours, theirs),
    )
    trials = ours.trial_variance + theirs.trial_variance
    if isinstance(result, Undetermined) or not share or trials <= 0:
        return result
    return replace(result, design_effect=(ours.variance + theirs.variance) / trials)


def variance_reduction(
    adjustment: Adjustment,
    moments: Mapping[str, UnitMoments],
    *,
    control: str,
    treatment: str,
    place: int = -1,
) -> float | Undetermined:
    """Return the share of the difference's variance that the adjustment takes out.

    Args:
        adjustment: Of these moments at this place.
        moments: Give the raw variances.
        control: The control's name.
        treatment: The treatment's name.
        place: As in :func:`adjust_rates`.
    """
    both = (control, treatment)
    if not all(name in adjustment.rates for name in both):
        return Undetermined("no_traffic: a variant has no rate with a variance")
    before = sum(moments[name].ratio_sums(place).variance for name in both)
    if before <= 0:
        return Undetermined("no_variance: there is no variance to reduce")
    return 1 - sum(adjustment.rates[name].variance for name in both) / before


def _has_rate(moments: UnitMoments, place: int) -> bool:
    return moments.counts[place].units > 1 and moments.sums[moments.at("n"), place] != 0


def _fit(
    moments: Mapping[str, UnitMoments], covariates: Sequence[str], place: int
) -> tuple[dict[str, float], str | None]:
    """Return θ of the covariates that say something, and why others are left out."""
    units = sum(one.counts[place].units for one in moments.values())
    if units < MIN_UNITS:
        return {}, f"few_units: {units} units, {MIN_UNITS} are needed to fit covariates"
    gram = np.zeros((len(covariates), len(covariates)), dtype=object)
    slope = np.zeros(len(covariates), dtype=object)
    for one in moments.values():
        gram += _centred_gram(one, covariates, place)
        slope += _centred_slope(one, covariates, place)
    kept: list[int] = []
    left_out = []
    for at, name in enumerate(covariates):
        if gram[at, at] <= 0:
            left_out.append(f"{name} never varies")
        elif _imbalance(moments, name, place=place, spread=gram[at, at]) < UNBALANCED_P:
            left_out.append(f"{name} differs between variants, so it is not from before them")
        elif _unexplained(gram, kept, at) <= _LEAST_UNEXPLAINED:
            others = " and ".join(covariates[other] for other in kept)
            left_out.append(f"{name} follows from {others}")
        else:
            kept.append(at)
    reason = f"covariates_left_out: {'; '.join(left_out)}" if left_out else None
    return dict(
        zip((covariates[at] for at in kept), _solve(gram, slope, kept), strict=True)
    ), reason


def _imbalance(
    moments: Mapping[str, UnitMoments], name: str, *, place: int, spread: Fraction
) -> float:
    """Return the p-value of equal means of a covariate: chi-square with a degree a further variant.

    Args:
        moments: Of every variant.
        name: The covariate.
        place: Up to which place units count.
        spread: Its sum of squares within variants.
    """
    from scipy.special import chdtrc

    units = [one.counts[place].units for one in moments.values()]
    sums = [int(one.sums[one.at(name), place]) for one in moments.values()]
    between = sum((Fraction(s * s, u) for s, u in zip(sums, units, strict=True)), Fraction(0))
    between -= Fraction(sum(sums) ** 2, sum(units))
    statistic = between * (sum(units) - len(units)) / spread
    return float(chdtrc(len(units) - 1, float(statistic))) if len(units) > 1 else 1.0


def _centred_gram(moments: UnitMoments, covariates: Sequence[str], place: int) -> npt.NDArray[Any]:
    """Return Σ_i (x_i - x̄)(x_i - x̄)ᵀ over one variant's units, exactly."""
    units = moments.counts[place].units
    at = [moments.at(name) for name in covariates]
    sums = [int(moments.sums[one, place]) for one in at]
    found = np.zeros((len(at), len(at)), dtype=object)
    for a, one in enumerate(at):
        for b, other in enumerate(at):
            product = int(moments.products[one, place, other, place])
            found[a, b] = Fraction(units * product - sums[a] * sums[b], units)
    return found


def _centred_slope(moments: UnitMoments, covariates: Sequence[str], place: int) -> npt.NDArray[Any]:
    """Return Σ_i (x_i - x̄)·ψ_i over one variant's units, exactly; the scores' mean is zero."""
    k, n = moments.at("k"), moments.at("n")
    top, bottom = int(moments.sums[k, place]), int(moments.sums[n, place])
    found = np.zeros(len(covariates), dtype=object)
    for a, name in enumerate(covariates):
        x = moments.at(name)
        kx = int(moments.products[k, place, x, place])
        nx = int(moments.products[n, place, x, place])
        found[a] = Fraction(moments.counts[place].units * (bottom * kx - top * nx), bottom**2)
    return found


def _correlations(gram: npt.NDArray[Any], chosen: Sequence[int]) -> npt.NDArray[np.float64]:
    scale = np.array([_root(gram[at, at]) for at in chosen])
    return gram[np.ix_(chosen, chosen)].astype(float) / np.outer(scale, scale)


def _unexplained(gram: npt.NDArray[Any], kept: Sequence[int], candidate: int) -> float:
    """Return the share of the candidate's variance that the kept covariates leave."""
    if not kept:
        return 1.0
    matrix = _correlations(gram, [*kept, candidate])
    explained = matrix[-1, :-1] @ np.linalg.solve(matrix[:-1, :-1], matrix[:-1, -1])
    return float(1 - explained)


def _solve(gram: npt.NDArray[Any], slope: npt.NDArray[Any], kept: Sequence[int]) -> list[float]:
    """Solve the normal equations on the scale of correlations, where they are well conditioned."""
    if not kept:
        return []
    scale = np.array([_root(gram[at, at]) for at in kept])
    right = np.array([float(slope[at]) for at in kept]) / scale
    return [float(value) for value in np.linalg.solve(_correlations(gram, kept), right) / scale]


def _root(value: Fraction) -> float:
    return math.sqrt(value)


def _score(moments: UnitMoments, place: int, theta: Mapping[str, Fraction]) -> Score:
    """Return ψ_i'/U as integer weights over one divisor: (k - r·n)/N - θᵀ(x - x̄·u)/U."""
    k, n = moments.at("k"), moments.at("n")
    top, bottom = int(moments.sums[k, place]), int(moments.sums[n, place])
    units = moments.counts[place].units
    parts = {"k": Fraction(1, bottom), "n": Fraction(-top, bottom**2), "u": Fraction(0)}
    for name, value in theta.items():
        parts[name] = -value / units
        parts["u"] += value * int(moments.sums[moments.at(name), place]) / units**2
    divisor = math.lcm(*(part.denominator for part in parts.values()))
    weights = np.zeros((len(moments.kinds), len(moments.places)), dtype=object)
    for name, part in parts.items():
        weights[moments.at(name), place] = part.numerator * (divisor // part.denominator)
    return Score(weights, divisor)


def _rate(
    moments: UnitMoments,
    place: int,
    score: Score,
    *,
    exact: Mapping[str, Fraction],
    means: Mapping[str, Fraction],
) -> RateEstimate:
    units = moments.counts[place].units
    k, n = moments.at("k"), moments.at("n")
    value = Fraction(int(moments.sums[k, place]), int(moments.sums[n, place]))
    for name, slope in exact.items():
        own = Fraction(int(moments.sums[moments.at(name), place]), units)
        value -= slope * (own - means[name])
    spread = float(score_products(moments, [score])[0, 0])
    return RateEstimate(value, spread * units / (units - 1))
