"""Incremental return: what a treatment brought in beyond the control, over what it cost beyond it.

Per assigned unit, so that variants of different sizes compare:

    iroas = (v̄_t - v̄_c) / (c̄_t - c̄_c)      v̄, c̄: means of value and cost over all units

Numerator and denominator are correlated estimates x and y, each the difference of two means, with
var x = s²_v,t/U_t + s²_v,c/U_c, var y likewise of cost, and cov = s_vc,t/U_t + s_vc,c/U_c. They go
through the Fieller test of :mod:`abplatform.stats.fieller`:

    z(R) = (x - R·y) / √(var x - 2·R·cov + R²·var y)

The null hypothesis of the p-value is iroas = 1: the extra money just comes back. That is the line
at which spending more is worth it, it is what the interval of ``iroas - 1`` excludes exactly when p
is below alpha, and z(1) is the plain test of whether the mean profit per unit differs. (The other
candidate, iroas = 0, is the question whether value rose at all, which cost has no part in; ask that
of the value itself.)

Where the cost's difference cannot be told from zero there is no finite interval, which is said; the
p-value still stands. Where the treatment cost less than the control, a ratio of savings would have
to be read upside down, so there is none.

References:
    Fieller, E. C. (1954). Some problems in interval estimation. JRSS B 16(2), 175-185.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from abplatform.stats.fieller import RateEstimate, RatioContrast, compare_rates
from abplatform.stats.ratio import MIN_EVENT_UNITS, RatioSums, is_small
from abplatform.stats.undetermined import Undetermined

__all__ = ["contrast_incremental"]


@dataclass(frozen=True, slots=True)
class _Means:
    """Mean value and cost per unit of one variant, with variances and covariance of the means."""

    value: Fraction
    cost: Fraction
    value_variance: Fraction
    cost_variance: Fraction
    covariance: Fraction


def contrast_incremental(
    control: RatioSums, treatment: RatioSums, *, alpha: float = 0.05
) -> RatioContrast | Undetermined:
    """Compare incremental value with incremental cost, per assigned unit.

    Args:
        control: Sums over the control's units of value (k) and cost (n).
        treatment: Sums over the treatment's units, likewise.
        alpha: Two-sided error rate.

    Returns:
        A contrast whose ``control`` is the incremental cost and whose ``treatment`` is the
        incremental value: ``relative_lift`` is iroas - 1, ``absolute_lift`` the incremental profit
        per unit, and p tests iroas = 1. Or why there is none.
    """
    obstacle = _find_obstacle(control, treatment)
    if obstacle is not None:
        return obstacle
    ours, theirs = _means(control), _means(treatment)
    cost = RateEstimate(theirs.cost - ours.cost, float(theirs.cost_variance + ours.cost_variance))
    value = RateEstimate(
        theirs.value - ours.value, float(theirs.value_variance + ours.value_variance)
    )
    result = compare_rates(
        cost,
        value,
        alpha=alpha,
        covariance=float(theirs.covariance + ours.covariance),
        small_sample=is_small(control, treatment),
    )
    if isinstance(result, Undetermined):
        return Undetermined("no_variance: every unit of both variants has the same profit")
    if cost.value <= 0:
        return replace(result, relative_lift=_NO_EXTRA_COST, relative=_NO_EXTRA_COST)
    if isinstance(result.relative, Undetermined):
        return replace(result, relative=_UNBOUNDED)
    return result


_NO_EXTRA_COST = Undetermined(
    "no_extra_cost: the treatment cost no more per unit than the control, so there is no return on "
    "extra cost; p still compares the profit per unit"
)
_UNBOUNDED = Undetermined(
    "relative_interval_unbounded: the extra cost cannot be told from zero, so a return on it has "
    "no finite interval"
)


def _find_obstacle(control: RatioSums, treatment: RatioSums) -> Undetermined | None:
    for name, sums in (("control", control), ("treatment", treatment)):
        if sums.units == 0:
            return Undetermined(f"no_traffic: {name} has no units")
        if sums.units == 1:
            return Undetermined(f"one_unit: {name} has one unit, and one unit shows no variance")
    if control.n == 0 and treatment.n == 0:
        return Undetermined("no_cost: no cost was logged, so there is no return on it")
    for name, sums in (("control", control), ("treatment", treatment)):
        if sums.k_units < MIN_EVENT_UNITS:
            return Undetermined(
                f"few_values: {name} has {sums.k_units} units with a value, "
                f"{MIN_EVENT_UNITS} are needed"
            )
    return None


def _means(sums: RatioSums) -> _Means:
    size = sums.units
    scale = size * size * (size - 1)
    return _Means(
        value=Fraction(sums.k, size),
        cost=Fraction(sums.n, size),
        value_variance=Fraction(size * sums.kk - sums.k**2, scale),
        cost_variance=Fraction(size * sums.nn - sums.n**2, scale),
        covariance=Fraction(size * sums.kn - sums.k * sums.n, scale),
    )
