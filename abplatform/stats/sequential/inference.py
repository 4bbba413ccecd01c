"""What the looks of a plan allow to be said: interval, p-value and estimate.

Repeated interval: the Fieller set with the look's boundary as its critical value. All looks'
intervals hold at once with probability 1 - alpha, whether or not anybody stops.

Sequential p-value: the smallest alpha at which, on the same clock, some look so far would have
crossed. It never rises from look to look, and is at most alpha exactly when a boundary was crossed.

Estimate at the decision: an experiment that stops at its first crossing overstates the effect.
Order its outcomes by stage: an upper crossing counts as the more extreme the earlier it is, then
by z. With θ the drift of Z_k ~ N(θ·√I_k, 1), P_θ(outcome at or above the observed one) rises in θ;
where it is ½ lies the median-unbiased estimate, where it is alpha/2 and 1 - alpha/2 its interval.

References:
    Jennison, C., Turnbull, B. W. (1989). Interim analyses: the repeated confidence interval
    approach. JRSS B 51(3), 305-361.
    Tsiatis, A. A., Rosner, G. L., Mehta, C. R. (1984). Exact confidence intervals following a
    group sequential test. Biometrics 40(3), 797-803.
    Liu, Q., Anderson, K. M. (2008). On adaptive extensions of group sequential trials for clinical
    investigations. JASA 103(484), 1621-1630.
    Jennison, C., Turnbull, B. W. (2000). Group Sequential Methods. Chapman & Hall, chapters 8, 9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from abplatform.stats.ratio import Interval, RatioContrast, Undetermined
from abplatform.stats.sequential.boundaries import BoundaryWalk
from abplatform.stats.sequential.clock import respend, run_clock
from abplatform.stats.sequential.crossings import cross_by_clock
from abplatform.stats.sequential.looks import LookRow, rule
from abplatform.stats.sequential.plan import Plan, PlanKind
from abplatform.stats.sequential.series import LookSeries

__all__ = ["DecisionEstimate", "estimate_at_decision", "repeated_interval", "sequential_p"]

_STEPS_PER_DECADE = 100_000
"""p-values lie on a grid, so that two days' searches can never disagree by a rounding."""

_FIRST_STEP = math.ceil(-math.log10(0.6) * _STEPS_PER_DECADE)
"""Up to alpha = 0.63 a larger alpha lets every look spend more, so that every boundary is lower.
Above it the O'Brien-Fleming-type function no longer promises that; nobody tests there."""

_LAST_STEP = 300 * _STEPS_PER_DECADE


@dataclass(frozen=True, slots=True)
class DecisionEstimate:
    """The relative lift at the look that decided.

    Args:
        look: Number of that look.
        day: Its day.
        relative_lift: As observed.
        median_unbiased: Too high as often as too low, over all ways the experiment can stop.
        low: Lower end of its interval at 1 - alpha.
        high: Upper end.
    """

    look: int
    day: int
    relative_lift: float
    median_unbiased: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Return the fields by name."""
        return asdict(self)


def repeated_interval(
    contrast: RatioContrast | Undetermined, boundary: float | None
) -> Interval | Undetermined:
    """Return the interval of the relative lift that holds at all looks at once.

    Args:
        contrast: At the look.
        boundary: The look's boundary; None while it is infinite.
    """
    if isinstance(contrast, Undetermined):
        return contrast
    return contrast.relative_interval(critical=math.inf if boundary is None else boundary)


def sequential_p(plan: Plan, rows: Sequence[LookRow], series: LookSeries) -> float | Undetermined:
    """Return the smallest alpha whose boundaries, on the same clock, some look so far crossed.

    On a grid of 100,000 values a decade, rounded up; 1 where no alpha up to 0.6 crosses.

    Args:
        plan: Sequential or fixed.
        rows: The looks so far.
        series: For the correlation of the looks.
    """
    if plan.kind is PlanKind.ANYTIME:
        return Undetermined("not_sequential: an anytime plan has the p-value of its sequence")
    tested = [row for row in rows if row.skipped is None]
    if not tested:
        return Undetermined("no_look: no look with enough data was taken yet")
    crosses = _crossing_test(plan, tested, series)
    at_plan = -math.log10(plan.alpha) * _STEPS_PER_DECADE
    # No boundary lies below z(1 - alpha/2), so no p-value below the smallest fixed one.
    most = max(row.z * row.z for row in tested if row.z is not None)
    beyond = min(_LAST_STEP, math.ceil(_decades(math.sqrt(most)) * _STEPS_PER_DECADE) + 1)
    if rule(rows).direction:
        step = _last_crossing(crosses, math.floor(at_plan), beyond)
        return plan.alpha if step is None else min(plan.alpha, _p_at(step))
    step = _last_crossing(crosses, _FIRST_STEP - 1, min(beyond, math.ceil(at_plan)))
    return 1.0 if step is None else _p_at(step)


def estimate_at_decision(
    plan: Plan, rows: Sequence[LookRow], series: LookSeries
) -> DecisionEstimate | Undetermined:
    """Return the median-unbiased relative lift at the look that decided.

    The drift is carried to the log ratio by the factor that takes z/√I of that look to the
    observed log ratio, so that without earlier looks the estimate is the observed one.

    Args:
        plan: Of any kind.
        rows: The looks.
        series: For the correlation of the looks.
    """
    row = rule(rows).row
    if row is None:
        return Undetermined("not_decided: no look has decided yet")
    if row.z is None or not row.information:
        return Undetermined(row.skipped or "no_information: the deciding look has none")
    if row.relative_lift is None or row.relative_lift <= -1:
        return Undetermined("no_positive_rate: a rate of zero or below has no logarithm")
    walk = _pass_looks(rows, row, series)
    observed = row.z / math.sqrt(row.information)
    scale = math.log1p(row.relative_lift) / observed if abs(row.z) > 1e-9 else 1.0
    width = 1 / math.sqrt(row.information)

    def above(drift: float) -> float:
        return walk.above(row.z or 0.0, drift=drift)

    ends = [
        math.expm1(scale * _solve_drift(above, level, start=observed, width=width))
        for level in (plan.alpha / 2, 0.5, 1 - plan.alpha / 2)
    ]
    low, middle, high = ends
    return DecisionEstimate(row.look, row.day, row.relative_lift, middle, low, high)


def _crossing_test(
    plan: Plan, tested: Sequence[LookRow], series: LookSeries
) -> Callable[[int], bool]:
    """Return whether some look crosses at the alpha of a step of the grid."""
    days = [row.day for row in tested]
    information = [row.information or 0.0 for row in tested]
    correlation = series.correlation_of(days, information)
    sizes, ours = np.array([[abs(row.z or 0.0) for row in tested]]), np.array([information])
    usable = np.ones(sizes.shape, dtype=bool)
    clock = run_clock(plan, days, ours, usable)

    def crosses(step: int) -> bool:
        at = respend(clock, replace(plan, alpha=_p_at(step)))
        found = cross_by_clock(at, sizes, ours, usable=usable, correlation=lambda _: correlation)
        return bool(found[0])

    return crosses


def _last_crossing(crosses: Callable[[int], bool], known: int, beyond: int) -> int | None:
    """Return the last step that crosses between two steps, or None where none does."""
    first = known
    while beyond - known > 1:
        middle = (known + beyond) // 2
        if crosses(middle):
            known = middle
        else:
            beyond = middle
    return known if known > first else None


def _p_at(step: int) -> float:
    return math.pow(10.0, -step / _STEPS_PER_DECADE)


def _decades(z: float) -> float:
    """Return -log10 of the two-sided fixed p-value."""
    from scipy.special import log_ndtr

    return -float(math.log(2) + log_ndtr(-z)) / math.log(10)


def _pass_looks(rows: Sequence[LookRow], decided: LookRow, series: LookSeries) -> BoundaryWalk:
    tested = [row for row in rows if row.skipped is None and row.look <= decided.look]
    information = [row.information or 0.0 for row in tested]
    walk = BoundaryWalk(information, series.correlation_of([r.day for r in tested], information))
    for row in tested:
        boundary = math.inf if row.boundary is None else row.boundary
        # The deciding look is always a step of the walk.
        walk.record(row.alpha_here or 0.0, min(boundary, 40.0) if row is decided else boundary)
    return walk


def _solve_drift(
    above: Callable[[float], float], level: float, *, start: float, width: float
) -> float:
    from scipy.optimize import brentq

    low, high = start - 2 * width, start + 2 * width
    while above(low) > level:
        low -= 2 * width
    while above(high) < level:
        high += 2 * width
    return float(brentq(lambda drift: above(drift) - level, low, high, xtol=1e-6 * width))
