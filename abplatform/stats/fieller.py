"""One test of two estimated rates, from which p and every interval follow (Fieller 1954).

Whatever gave the estimates x (treatment) and y (control), be it sums over units, an adjustment by
covariates or a difference of totals, they are compared by

    z(R) = (x - R·y) / √(v_x - 2·R·cov + R²·v_y)

z(1) gives the p-value; {R : |z(R)| ≤ c} is the interval of the ratio x / y, so that p and interval
never disagree. Two shortcuts are kept as options, each with the p-value of its own statistic:

    log_delta   z = log(x/y) / √(v_x/x² + v_y/y² - 2·cov/(x·y)),  interval (x/y)·exp(± c·se)
    delta       z = (x/y - 1) / se,  se = (x/y)·(the root above),   interval x/y ± c·se

Both take the ratio's error for normal, which it is not while few units have an event: they reject
equal variants 6-11 % of the time at 32-150 clicking users where 5 % is stated.

References:
    Fieller, E. C. (1954). Some problems in interval estimation. JRSS B 16(2), 175-185.
    Franz, V. H. (2007). Ratios: a short guide to confidence limits and proper use. arXiv:0710.2024.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from abplatform.stats.undetermined import Undetermined

__all__ = [
    "Interval",
    "IntervalMethod",
    "RateEstimate",
    "RatioContrast",
    "compare_rates",
    "fieller_set",
    "normal_critical_value",
]

IntervalMethod = Literal["fieller", "log_delta", "delta"]

_LEAST_P = sys.float_info.min
"""p-values that underflow are given as this; ``log10_p`` stays exact."""


@dataclass(frozen=True, slots=True)
class RateEstimate:
    """A rate and its variance, whatever they came from.

    Args:
        value: The rate; a Fraction is carried exactly until differences have been taken.
        variance: Of the estimate, at least 0.

    Raises:
        ValueError: A number is NaN, infinite or a negative variance.
    """

    value: Fraction | float
    variance: float

    def __post_init__(self) -> None:
        """Refuse what is no estimate."""
        finite = math.isfinite(self.value) and math.isfinite(self.variance)
        if not finite or self.variance < 0:
            message = f"no estimate: {float(self.value)} with variance {self.variance}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval ``low`` … ``high``."""

    low: float
    high: float

    def shifted(self, by: float) -> Interval:
        """Return the interval with both ends moved."""
        return Interval(self.low + by, self.high + by)


@dataclass(frozen=True, slots=True)
class RatioContrast:
    """Treatment against control.

    Args:
        rate_control: r_c.
        rate_treatment: r_t.
        absolute_lift: r_t - r_c.
        se_absolute: Its standard error.
        z: The test's statistic; ``absolute_lift / se_absolute`` unless a shortcut was asked for.
        p_value: Two-sided, normal; 2.2e-308 where it underflows.
        log10_p: Its decimal logarithm, exact also where p underflows.
        relative_lift: r_t / r_c - 1, or why there is none.
        relative: Interval of the relative lift at 1 - alpha, or why it is unbounded.
        design_effect: Variance by unit over variance by independent trial; None unless a share.
        small_sample: Whether a variant has fewer than 50 units with an event.
        control: The control's estimate, as compared.
        treatment: The treatment's estimate, as compared.
        covariance: Between the two estimates.
        method: Which statistic p and interval come from.
    """

    rate_control: float
    rate_treatment: float
    absolute_lift: float
    se_absolute: float
    z: float
    p_value: float
    log10_p: float
    relative_lift: float | Undetermined
    relative: Interval | Undetermined
    design_effect: float | None
    small_sample: bool
    control: RateEstimate
    treatment: RateEstimate
    covariance: float = 0.0
    method: IntervalMethod = "fieller"

    @property
    def log_ratio(self) -> float | Undetermined:
        """log(r_t / r_c), or why there is none."""
        if self.rate_control <= 0 or self.rate_treatment <= 0:
            return _NO_LOGARITHM
        if isinstance(self.relative_lift, Undetermined):
            return self.relative_lift
        return math.log1p(self.relative_lift)

    @property
    def log_ratio_variance(self) -> float | Undetermined:
        """Variance of ``log_ratio`` by the delta method; its inverse is the information."""
        if self.rate_control <= 0 or self.rate_treatment <= 0:
            return _NO_LOGARITHM
        return _log_variance(self.control, self.treatment, self.covariance)

    def relative_interval(
        self, *, alpha: float | None = None, critical: float | None = None
    ) -> Interval | Undetermined:
        """Return the interval of the relative lift at another level of the same test.

        Args:
            alpha: Two-sided error rate; a one-sided bound at alpha is an end at 2·alpha.
            critical: The critical value itself, such as a sequential boundary; one of the two.
        """
        return _interval_of(
            (self.control, self.treatment, self.covariance),
            critical=_critical(alpha, critical),
            method=self.method,
        )


_NO_LOGARITHM = Undetermined("no_positive_rate: a rate of zero or below has no logarithm")
_UNBOUNDED = Undetermined(
    "relative_interval_unbounded: the control's rate cannot be told from zero, so a ratio to it "
    "has no finite interval"
)
_NO_BASE = Undetermined("no_positive_base: the control's rate is not above zero")


def compare_rates(
    control: RateEstimate,
    treatment: RateEstimate,
    *,
    alpha: float = 0.05,
    covariance: float = 0.0,
    interval: IntervalMethod = "fieller",
    trial_variance: float | None = None,
    small_sample: bool = False,
) -> RatioContrast | Undetermined:
    """Compare two rate estimates by one test.

    Args:
        control: y, the base of the relative lift.
        treatment: x.
        alpha: Two-sided error rate of test and interval.
        covariance: cov(x, y); zero where other units gave them.
        interval: The test that p and interval come from.
        trial_variance: Variance of the difference if every trial stood alone, for the design
            effect; None where there is no such thing.
        small_sample: Whether too few units are behind it for the normal to be close.

    Returns:
        The contrast, or the reason why there is none.
    """
    variance = control.variance + treatment.variance - 2 * covariance
    if variance <= 0:
        return Undetermined("no_variance: the two rates' difference shows no variance")
    difference = treatment.value - control.value
    lift, se = float(difference), math.sqrt(variance)
    both = (control, treatment, covariance)
    statistic = lift / se if interval == "fieller" else _shortcut_z(both, interval)
    if isinstance(statistic, Undetermined):
        return statistic
    return RatioContrast(
        rate_control=float(control.value),
        rate_treatment=float(treatment.value),
        absolute_lift=lift,
        se_absolute=se,
        z=statistic,
        p_value=max(math.erfc(abs(statistic) / math.sqrt(2)), _LEAST_P),
        log10_p=_log10_two_sided(statistic),
        relative_lift=float(difference / control.value) if control.value > 0 else _NO_BASE,
        relative=_interval_of(both, critical=normal_critical_value(alpha), method=interval),
        design_effect=variance / trial_variance if trial_variance else None,
        small_sample=small_sample,
        control=control,
        treatment=treatment,
        covariance=covariance,
        method=interval,
    )


def fieller_set(
    control: RateEstimate, treatment: RateEstimate, *, critical: float, covariance: float = 0.0
) -> Interval | Undetermined:
    """Return {R - 1 : |z(R)| ≤ c}, the interval of the relative lift.

    The set is where a·R² - 2·b·R + d ≤ 0 with a = y² - c²·v_y, b = x·y - c²·cov and
    d = x² - c²·v_x. It is bounded exactly when a > 0, that is when the control's rate itself is
    distinguishable from zero at this level.

    Args:
        control: y.
        treatment: x.
        critical: c, above zero; infinity gives an unbounded set.
        covariance: cov(x, y).
    """
    if math.isinf(critical):
        return Undetermined("relative_interval_unbounded: nothing is spent yet at this look")
    c2, cov = critical**2, covariance
    y, v_y = float(control.value), control.variance
    x, v_x = float(treatment.value), treatment.variance
    a = y**2 - c2 * v_y
    if a <= 0 or y <= 0:
        return _UNBOUNDED
    b, d = x * y - c2 * cov, x**2 - c2 * v_x
    # b² - a·d without its cancellation; never below zero, since z(x/y) = 0 lies in the set.
    spread = v_y * x**2 + v_x * a - 2 * x * y * cov + c2 * cov**2
    root = math.sqrt(max(c2 * spread, 0.0))
    # The root of the larger size first, the other one from their product d / a.
    far = b + math.copysign(root, b)
    if far == 0:
        return Interval(-1.0, -1.0)
    ends = sorted((far / a, d / far))
    return Interval(ends[0] - 1, ends[1] - 1)


def normal_critical_value(alpha: float) -> float:
    """Return c with P(|Z| > c) = alpha for a standard normal Z.

    Raises:
        ValueError: ``alpha`` is not between 0 and 1.
    """
    from scipy.special import ndtri

    if not 0 < alpha < 1:
        message = f"alpha lies between 0 and 1, not at {alpha}"
        raise ValueError(message)
    return -float(ndtri(alpha / 2))


_Pair = tuple[RateEstimate, RateEstimate, float]
"""Control, treatment and their covariance."""


def _critical(alpha: float | None, critical: float | None) -> float:
    if (alpha is None) == (critical is None):
        message = "give either alpha or the critical value"
        raise ValueError(message)
    return normal_critical_value(alpha) if alpha is not None else float(critical or 0.0)


def _interval_of(
    pair: _Pair, *, critical: float, method: IntervalMethod
) -> Interval | Undetermined:
    control, treatment, covariance = pair
    if method == "fieller":
        return fieller_set(control, treatment, critical=critical, covariance=covariance)
    if control.value <= 0 or treatment.value <= 0:
        return _NO_LOGARITHM
    ratio = float(treatment.value / control.value)
    half = critical * math.sqrt(_log_variance(control, treatment, covariance))
    if method == "log_delta":
        return Interval(ratio * math.exp(-half) - 1, ratio * math.exp(half) - 1)
    return Interval(ratio - ratio * half - 1, ratio + ratio * half - 1)


def _shortcut_z(pair: _Pair, method: IntervalMethod) -> float | Undetermined:
    control, treatment, covariance = pair
    if control.value <= 0 or treatment.value <= 0:
        return _NO_LOGARITHM
    lift = float((treatment.value - control.value) / control.value)
    se = math.sqrt(_log_variance(control, treatment, covariance))
    return math.log1p(lift) / se if method == "log_delta" else lift / ((1 + lift) * se)


def _log_variance(control: RateEstimate, treatment: RateEstimate, covariance: float) -> float:
    x, y = float(treatment.value), float(control.value)
    return treatment.variance / x**2 + control.variance / y**2 - 2 * covariance / (x * y)


def _log10_two_sided(z: float) -> float:
    from scipy.special import log_ndtr

    return float((math.log(2) + log_ndtr(-abs(z))) / math.log(10))
