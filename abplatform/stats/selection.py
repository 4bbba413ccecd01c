"""The effect of a winner, corrected for having been picked because it looked large.

A result that is reported because it is significant, or because it beat others, is too large on
average: the winner's curse. Given that Z ~ N(δ, 1) was seen only because it fell into a set S of
values, its distribution is the normal one truncated to S, and from that follow

* the **conditional maximum-likelihood estimate**: the δ with E(Z | Z ∈ S; δ) = z;
* the **median-unbiased estimate**: the δ with P(Z ≤ z | Z ∈ S; δ) = ½;
* an **interval** with the ends at which that probability is 1 - alpha/2 and alpha/2.

Which S is which:

* the fixed plan with one treatment: significant means |Z| > c (:func:`beyond`);
* several treatments, judged by Dunnett: c is the joint critical value (:func:`beyond` again);
* categories, judged by Holm, BH or BY: c depends on the others' p-values
  (:func:`rejection_threshold`).

Not corrected for is having been the best of several significant ones. Given that, too, a near tie
leaves the data almost nothing to say: of z = 6.0 against 5.9 the median-unbiased estimate is 2.8
even in the hybrid of Andrews, Kitagawa and McCloskey. The best of many categories is what
:mod:`abplatform.stats.shrinkage` is for.

The sequential plan stops at one of many looks; its median-unbiased estimate orders results by look
and lives beside its boundaries, in ``stats/sequential``.

An estimate just beyond the threshold says little about δ, and its interval is then wide on the side
of zero: that is what the data hold.

References:
    Zhong, H., Prentice, R. L. (2008). Bias-reduced estimators and confidence intervals for odds
    ratios in genome-wide association studies. Biostatistics 9(4), 621-634.
    Andrews, I., Kitagawa, T., McCloskey, A. (2024). Inference on winners. QJE 139(1), 305-358.
    Benjamini, Y., Yekutieli, D. (2005). False discovery rate-adjusted multiple confidence
    intervals for selected parameters. JASA 100(469), 71-81 (the threshold given the others).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from abplatform.stats.categories import Correction
from abplatform.stats.ratio import Undetermined, normal_critical_value

__all__ = [
    "CorrectedEffect",
    "Selection",
    "beyond",
    "correct_selected",
    "rejection_threshold",
]

Selection = tuple[tuple[float, float], ...]
"""Disjoint stretches of z in order: where a result had to fall to be reported."""

_FARTHEST = 1e4
"""A standardised effect is looked for at most this far from its estimate."""


@dataclass(frozen=True, slots=True)
class CorrectedEffect:
    """A selected effect, in standard errors.

    Args:
        raw: z as it was seen.
        conditional_mle: The conditional maximum-likelihood estimate.
        median_unbiased: The estimate that is too large as often as too small.
        low: Lower end of the equal-tailed interval given the selection; -inf where the data do
            not bound it.
        high: Upper end; inf likewise.
    """

    raw: float
    conditional_mle: float
    median_unbiased: float
    low: float
    high: float


def beyond(critical_value: float) -> Selection:
    """Return the selection of a two-sided test, |Z| > c."""
    return ((-math.inf, -critical_value), (critical_value, math.inf))


def correct_selected(
    z: float, selection: Selection, *, alpha: float = 0.05
) -> CorrectedEffect | Undetermined:
    """Correct a standardised effect for having been reported because it fell into a set.

    Args:
        z: As it was seen.
        selection: Where it had to fall.
        alpha: Two-sided error rate of the interval.

    Returns:
        The corrected effect; Undetermined where z did not fall into the set.
    """
    if not any(low <= z <= high for low, high in selection):
        return Undetermined("not_selected: the effect was not reported because of its size")
    return CorrectedEffect(
        raw=z,
        conditional_mle=_solve(lambda delta: z - _mean(delta, selection), z),
        median_unbiased=_quantile_effect(z, selection, 0.5),
        low=_quantile_effect(z, selection, 1 - alpha / 2),
        high=_quantile_effect(z, selection, alpha / 2),
    )


def rejection_threshold(
    p_values: Sequence[float], place: int, *, alpha: float, correction: Correction
) -> float | None:
    """Return c so that this p-value is rejected, the others as they are, exactly when |Z| > c.

    Args:
        p_values: Of one family.
        place: Which one it is about.
        alpha: The family's error rate.
        correction: How the family is adjusted.

    Returns:
        The critical value; None where it is not rejected at present.
    """
    others = sorted(p for at, p in enumerate(p_values) if at != place)
    size = len(p_values)
    if correction == "none":
        level = alpha
    elif correction == "holm":
        # Tested last among those that fall before it.
        before = 0
        while before < len(others) and others[before] <= alpha / (size - before):
            before += 1
        level = alpha / (size - before)
    else:
        rate = alpha / (sum(1 / i for i in range(1, size + 1)) if correction == "by" else 1.0)
        # With its own p at 0 the others fill ranks 2 … size.
        ranks = [rank for rank, p in enumerate(others, start=2) if p <= rank * rate / size]
        level = rate * max(ranks, default=1) / size
    return normal_critical_value(level) if p_values[place] <= level else None


def _within(selection: Selection, low: float, high: float) -> Selection:
    cut = ((max(a, low), min(b, high)) for a, b in selection)
    return tuple((a, b) for a, b in cut if a < b)


def _quantile_effect(z: float, selection: Selection, wanted: float) -> float:
    below = _within(selection, -math.inf, z)
    above = _within(selection, z, math.inf)
    if not below or not above:
        # At the edge of the set every δ makes z extreme: the data bound one side only.
        return math.inf if not above else -math.inf

    def odds(delta: float) -> float:
        logs = _log_mass(delta, below) - _log_mass(delta, above)
        return logs - math.log(wanted / (1 - wanted))

    return _solve(odds, z)


def _solve(falling: Callable[[float], float], start: float) -> float:
    """Return the root of a falling function of δ, infinite where it lies too far off."""
    from scipy.optimize import brentq

    reach = 1.0
    while reach < _FARTHEST:
        low, high = start - reach, start + reach
        if falling(low) >= 0 >= falling(high):
            return float(brentq(falling, low, high, xtol=1e-12, rtol=1e-13))
        reach *= 2
    return -math.inf if falling(start) < 0 else math.inf


def _log_mass(delta: float, selection: Selection) -> float:
    """Return log P(Z ∈ S) for Z ~ N(δ, 1)."""
    parts = [_log_between(low - delta, high - delta) for low, high in selection]
    return float(np.logaddexp.reduce(parts))


def _log_between(low: float, high: float) -> float:
    """Return log(Φ(high) - Φ(low)), exact far out in either tail."""
    from scipy.special import log_ndtr

    if low > 0:
        low, high = -high, -low
    outer, inner = float(log_ndtr(high)), float(log_ndtr(low))
    if math.isinf(inner):
        return outer
    gap = inner - outer
    if high > 0:
        # log of a number near 1: from both tails.
        return math.log1p(-math.exp(float(log_ndtr(-high))) - math.exp(inner))
    return outer + math.log(-math.expm1(gap)) if gap < 0 else -math.inf


def _mean(delta: float, selection: Selection) -> float:
    """Return E(Z | Z ∈ S) for Z ~ N(δ, 1): δ + Σ(φ(low) - φ(high)) / P(S)."""
    log_mass = _log_mass(delta, selection)
    pull = 0.0
    for low, high in selection:
        for end, sign in ((low, 1.0), (high, -1.0)):
            if math.isfinite(end):
                log_density = -0.5 * (end - delta) ** 2 - 0.5 * math.log(2 * math.pi)
                pull += sign * math.exp(min(log_density - log_mass, 700.0))
    return delta + pull
