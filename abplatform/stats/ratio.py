"""Ratios of sums over units, and the unit-clustered Fieller test of two of them.

A rate such as CTR is r = Σ k_i / Σ n_i over the units i of a variant. Units are what was
randomised, so the variance of r comes from how units differ (the delta method for a ratio of
sums), never from impressions as if they were independent:

    v = U/(U - 1) · Σ_i (k_i - r·n_i)² / (Σ_i n_i)²

Two variants are compared by one test at every size (Fieller 1954):

    z(R) = (r_t - R·r_c) / √(v_t + R²·v_c)

z(1) gives the p-value; {R : |z(R)| ≤ c} is the interval of the ratio r_t / r_c, so that p and
interval never disagree.

All sums are Python integers, so that they add up exactly in any order, and the differences that
cancel are taken before anything is rounded: counts of 1e12 are as safe as counts of 10.

References:
    Fieller, E. C. (1954). Some problems in interval estimation. JRSS B 16(2), 175-185.
    Deng, A., Knoblich, U., Lu, J. (2018). Applying the delta method in metric analytics.
    KDD 2018, arXiv:1803.06336.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index

__all__ = [
    "MIN_EVENT_UNITS",
    "SMALL_SAMPLE_UNITS",
    "Interval",
    "RatioContrast",
    "RatioSums",
    "Undetermined",
    "contrast",
    "normal_critical_value",
    "rate_interval",
    "relative_interval",
]

MIN_EVENT_UNITS = 5
"""Below this many units with an event in a variant there is no result."""

SMALL_SAMPLE_UNITS = 50
"""Below this many units with an event in a variant a result is marked as a small sample."""

_LEAST_P = sys.float_info.min
"""p-values that underflow are given as this; ``log10_p`` stays exact."""


@dataclass(frozen=True, slots=True)
class Undetermined:
    """A number that cannot be computed, and why.

    Args:
        reason: ``code: sentence``, such as ``no_traffic: control has no units``.
    """

    reason: str

    @property
    def code(self) -> str:
        """The stable word before the colon."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class RatioSums:
    """What a ratio needs to know of a variant's units: integer sums that add with ``+``.

    Args:
        units: Number of units.
        n: Σ n_i, the denominators.
        k: Σ k_i, the numerators; may be negative where money is refunded.
        nn: Σ n_i².
        kk: Σ k_i².
        kn: Σ k_i·n_i.
        n_units: Units whose denominator is not zero.
        k_units: Units whose numerator is not zero.

    Raises:
        ValueError: A sum is no integer, is negative, or contradicts the others.
    """

    units: int
    n: int
    k: int
    nn: int
    kk: int
    kn: int
    n_units: int
    k_units: int

    def __post_init__(self) -> None:
        """Refuse sums that no set of units can have."""
        values = self._values()
        if not all(type(value) is int for value in values):
            message = f"sums over units are integers, not {values}"
            raise ValueError(message)
        if min(self.units, self.n, self.nn, self.kk, self.n_units, self.k_units) < 0:
            message = f"sums over units are negative: {values}"
            raise ValueError(message)
        if max(self.n_units, self.k_units) > self.units or (
            # Cauchy-Schwarz: what every real set of units obeys.
            self.n**2 > self.n_units * self.nn
            or self.k**2 > self.k_units * self.kk
            or self.kn**2 > self.nn * self.kk
        ):
            message = f"sums over units contradict each other: {values}"
            raise ValueError(message)

    def __add__(self, other: RatioSums) -> RatioSums:
        """Return the sums over the units of both."""
        return RatioSums(*(a + b for a, b in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> tuple[int, ...]:
        # dataclasses.astuple copies deeply, which is slow for thousands of slices.
        return (
            *(self.units, self.n, self.k, self.nn, self.kk, self.kn),
            *(self.n_units, self.k_units),
        )

    @classmethod
    def of_units(cls, n: Sequence[int], k: Sequence[int]) -> RatioSums:
        """Return the sums over units given one by one.

        Args:
            n: Denominators, one a unit.
            k: Numerators, one a unit.

        Raises:
            TypeError: A total is no integer.
        """
        pairs = [(index(a), index(b)) for a, b in zip(n, k, strict=True)]
        return cls(
            units=len(pairs),
            n=sum(a for a, _ in pairs),
            k=sum(b for _, b in pairs),
            nn=sum(a * a for a, _ in pairs),
            kk=sum(b * b for _, b in pairs),
            kn=sum(a * b for a, b in pairs),
            n_units=sum(a != 0 for a, _ in pairs),
            k_units=sum(b != 0 for _, b in pairs),
        )

    @classmethod
    def independent(cls, n: int, k: int, *, units: int | None = None) -> RatioSums:
        """Return the sums when each trial stands alone: n trials of which k succeed.

        Args:
            n: Trials.
            k: Successes among them, 0 … n.
            units: All units, those without a trial included; default n.

        Raises:
            ValueError: There are more successes than trials.
        """
        if k > n:
            message = f"{k} successes in {n} trials"
            raise ValueError(message)
        return cls(n if units is None else units, n, k, n, k, k, n, k)

    @property
    def rate(self) -> float | None:
        """Σ k / Σ n, or None without a denominator."""
        return self.k / self.n if self.n else None

    @property
    def variance(self) -> float:
        """Variance of the rate by the delta method; needs two units and a denominator."""
        spread = self.kk * self.n**2 - 2 * self.k * self.n * self.kn + self.k**2 * self.nn
        return (self.units * spread) / ((self.units - 1) * self.n**4)

    @property
    def trial_variance(self) -> float:
        """Variance of the rate if every unit of the denominator were an independent 0/1 trial."""
        return (self.k * (self.n - self.k)) / self.n**3


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval ``low`` … ``high``."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RatioContrast:
    """Treatment against control.

    Args:
        rate_control: r_c.
        rate_treatment: r_t.
        absolute_lift: r_t - r_c.
        se_absolute: Its standard error.
        z: ``absolute_lift / se_absolute``, which is z(R) at R = 1.
        p_value: Two-sided, normal; 2.2e-308 where it underflows.
        log10_p: Its decimal logarithm, exact also where p underflows.
        relative_lift: r_t / r_c - 1, or why there is none.
        relative: Fieller interval of the relative lift at 1 - alpha, or why it is unbounded.
        design_effect: Variance by unit over variance by independent trial; None unless a share.
        small_sample: Whether a variant has fewer than 50 units with an event.
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


def contrast(
    control: RatioSums,
    treatment: RatioSums,
    *,
    alpha: float = 0.05,
    share: bool = False,
    event: str = "click",
) -> RatioContrast | Undetermined:
    """Compare two ratios of sums over units by the unit-clustered Fieller test.

    Args:
        control: Sums over the control's units.
        treatment: Sums over the treatment's units.
        alpha: Two-sided error rate of test and interval.
        share: Whether numerators count trials of the denominator, so that 0 ≤ k ≤ n.
        event: What a numerator counts, for the reasons.

    Returns:
        The contrast, or the reason why there is none.
    """
    obstacle = _find_obstacle(control, treatment, share=share, event=event)
    if obstacle is not None:
        return obstacle
    v_c, v_t = control.variance, treatment.variance
    r_c, r_t = control.k / control.n, treatment.k / treatment.n
    difference = treatment.k * control.n - control.k * treatment.n
    lift = difference / (control.n * treatment.n)
    se = math.sqrt(v_c + v_t)
    z = lift / se
    trials = control.trial_variance + treatment.trial_variance
    return RatioContrast(
        rate_control=r_c,
        rate_treatment=r_t,
        absolute_lift=lift,
        se_absolute=se,
        z=z,
        p_value=max(math.erfc(abs(z) / math.sqrt(2)), _LEAST_P),
        log10_p=_log10_two_sided(z),
        relative_lift=_relative_lift(control, treatment, difference),
        relative=relative_interval(control, treatment, alpha=alpha),
        design_effect=(v_c + v_t) / trials if share and trials > 0 else None,
        small_sample=min(control.k_units, treatment.k_units) < SMALL_SAMPLE_UNITS,
    )


def relative_interval(
    control: RatioSums, treatment: RatioSums, *, alpha: float
) -> Interval | Undetermined:
    """Return {R - 1 : |z(R)| ≤ c}, the Fieller interval of the relative lift.

    The set is where a·R² - 2·b·R + d ≤ 0 with a = r_c² - c²·v_c, b = r_t·r_c and
    d = r_t² - c²·v_t. It is bounded exactly when a > 0, that is when the control's rate itself is
    distinguishable from zero at this level.

    Args:
        control: Sums over the control's units; at least two, with a denominator.
        treatment: Sums over the treatment's units; likewise.
        alpha: Two-sided error rate; a one-sided bound at alpha is an end at 2·alpha.
    """
    c2 = normal_critical_value(alpha) ** 2
    r_c, r_t = control.k / control.n, treatment.k / treatment.n
    v_c, v_t = control.variance, treatment.variance
    a = r_c**2 - c2 * v_c
    if a <= 0 or r_c <= 0:
        return Undetermined(
            "relative_interval_unbounded: the control's rate cannot be told from zero, "
            "so a ratio to it has no finite interval"
        )
    b, d = r_t * r_c, r_t**2 - c2 * v_t
    # b² - a·d without its cancellation.
    root = math.sqrt(c2 * (v_c * r_t**2 + v_t * a))
    # The root of the larger size first, the other one from their product d / a.
    far = b + math.copysign(root, b)
    ends = sorted((far / a, d / far))
    return Interval(ends[0] - 1, ends[1] - 1)


def rate_interval(
    sums: RatioSums, *, alpha: float, share: bool = False, event: str = "click"
) -> Interval | Undetermined:
    """Return the interval of one variant's rate, r ± c·√v.

    Near 0 and 1 hardly a unit differs from the others, so that v is close to zero however few
    units there are. A share with fewer than 5 successes or failures gets Wilson's score interval
    instead, as if every unit were all success or all failure: (Σn)²/Σn² independent trials.

    Args:
        sums: Sums over the variant's units.
        alpha: Two-sided error rate.
        share: Whether numerators count trials of the denominator.
        event: What a numerator counts, for the reason.

    References:
        Wilson, E. B. (1927). Probable inference, the law of succession, and statistical
        inference. JASA 22(158), 209-212.
    """
    if sums.units < 2 or not sums.n:
        return Undetermined("no_traffic: a rate needs at least two units and a denominator")
    if share and 0 <= sums.k <= sums.n:
        if min(sums.k_units, sums.n - sums.k) < MIN_EVENT_UNITS or sums.variance <= 0:
            return _score_interval(sums, alpha=alpha)
    elif sums.k_units < MIN_EVENT_UNITS:
        return Undetermined(
            f"few_{event}s: {sums.k_units} units with a {event}, {MIN_EVENT_UNITS} are needed"
        )
    half = normal_critical_value(alpha) * math.sqrt(sums.variance)
    rate = sums.k / sums.n
    return Interval(rate - half, rate + half)


def _score_interval(sums: RatioSums, *, alpha: float) -> Interval:
    c2 = normal_critical_value(alpha) ** 2
    rate, trials = sums.k / sums.n, sums.n**2 / sums.nn
    middle = (rate + c2 / (2 * trials)) / (1 + c2 / trials)
    half = math.sqrt(c2 * (rate * (1 - rate) / trials + c2 / (4 * trials**2))) / (1 + c2 / trials)
    # An end is exact where nothing, or everything, is a success.
    low = max(0.0, middle - half) if sums.k else 0.0
    return Interval(low, min(1.0, middle + half) if sums.k < sums.n else 1.0)


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


def _find_obstacle(
    control: RatioSums, treatment: RatioSums, *, share: bool, event: str
) -> Undetermined | None:
    """Return the gravest reason of either variant: no traffic before few clicks."""
    found = [
        obstacle
        for name, sums in (("control", control), ("treatment", treatment))
        if (obstacle := _obstacle_of(name, sums, share=share, event=event)) is not None
    ]
    return Undetermined(min(found, key=lambda one: one[0])[1]) if found else None


def _obstacle_of(name: str, sums: RatioSums, *, share: bool, event: str) -> tuple[int, str] | None:
    few = min(sums.k_units, sums.n_units)
    obstacles = (
        (sums.units == 0, f"no_traffic: {name} has no units"),
        (sums.n == 0, f"no_denominator: {name} has nothing to divide by"),
        (sums.units == 1, f"one_unit: {name} has one unit, and one unit shows no variance"),
        (
            share and not 0 <= sums.k <= sums.n,
            f"not_a_share: {name} has {sums.k} {event}s in {sums.n} trials",
        ),
        (
            few < MIN_EVENT_UNITS,
            f"few_{event}s: {name} has {few} units with a {event}, {MIN_EVENT_UNITS} are needed",
        ),
    )
    for gravity, (holds, reason) in enumerate(obstacles):
        if holds:
            return gravity, reason
    if sums.variance <= 0:
        return len(obstacles), f"no_variance: every unit of {name} has the same rate"
    return None


def _relative_lift(
    control: RatioSums, treatment: RatioSums, difference: int
) -> float | Undetermined:
    if control.k <= 0:
        return Undetermined("no_positive_base: the control's rate is not above zero")
    return difference / (control.k * treatment.n)


def _log10_two_sided(z: float) -> float:
    from scipy.special import log_ndtr

    return float((math.log(2) + log_ndtr(-abs(z))) / math.log(10))
