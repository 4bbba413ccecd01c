"""Ratios of sums over units, and the unit-clustered comparison of two of them.

A rate such as CTR is r = Σ k_i / Σ n_i over the units i of a variant. Units are what was
randomised, so the variance of r comes from how units differ (the delta method for a ratio of
sums), never from impressions as if they were independent:

    v = U/(U - 1) · Σ_i (k_i - r·n_i)² / (Σ_i n_i)²

Two variants are compared by one test at every size, that of :mod:`abplatform.stats.fieller`.

All sums are Python integers, so that they add up exactly in any order, and the differences that
cancel are taken before anything is rounded: counts of 1e12 are as safe as counts of 10.

References:
    Deng, A., Knoblich, U., Lu, J. (2018). Applying the delta method in metric analytics.
    KDD 2018, arXiv:1803.06336.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import index

from abplatform.stats.fieller import (
    Interval,
    IntervalMethod,
    RateEstimate,
    RatioContrast,
    compare_rates,
    fieller_set,
    normal_critical_value,
)
from abplatform.stats.undetermined import Undetermined

__all__ = [
    "MIN_EVENT_UNITS",
    "SMALL_SAMPLE_UNITS",
    "Interval",
    "RateEstimate",
    "RatioContrast",
    "RatioSums",
    "Undetermined",
    "contrast",
    "find_obstacle",
    "is_small",
    "normal_critical_value",
    "rate_interval",
    "relative_interval",
]

MIN_EVENT_UNITS = 5
"""Below this many units with an event in a variant there is no result."""

SMALL_SAMPLE_UNITS = 50
"""Below this many units with an event in a variant a result is marked as a small sample."""


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

    def estimate(self, inflation: float = 1.0) -> RateEstimate:
        """Return the rate, exactly, and its variance; needs two units and a denominator.

        Args:
            inflation: What multiplies the variance.
        """
        return RateEstimate(Fraction(self.k, self.n), self.variance * inflation)


def contrast(
    control: RatioSums,
    treatment: RatioSums,
    *,
    alpha: float = 0.05,
    share: bool = False,
    event: str = "click",
    interval: IntervalMethod = "fieller",
    inflation: tuple[float, float] = (1.0, 1.0),
) -> RatioContrast | Undetermined:
    """Compare two ratios of sums over units by the unit-clustered Fieller test.

    Args:
        control: Sums over the control's units.
        treatment: Sums over the treatment's units.
        alpha: Two-sided error rate of test and interval.
        share: Whether numerators count trials of the denominator, so that 0 ≤ k ≤ n.
        event: What a numerator counts, for the reasons.
        interval: The test behind p and interval; the others than ``fieller`` reject too often
            while few units have an event.
        inflation: What multiplies the control's and the treatment's variance, such as the
            overdispersion of rows that stand for many units.

    Returns:
        The contrast, or the reason why there is none.
    """
    obstacle = find_obstacle(control, treatment, share=share, event=event)
    if obstacle is not None:
        return obstacle
    trials = control.trial_variance + treatment.trial_variance
    return compare_rates(
        control.estimate(inflation[0]),
        treatment.estimate(inflation[1]),
        alpha=alpha,
        interval=interval,
        trial_variance=trials if share and trials > 0 else None,
        small_sample=is_small(control, treatment),
    )


def is_small(control: RatioSums, treatment: RatioSums) -> bool:
    """Whether a variant has too few units with an event for the normal to be close."""
    return min(control.k_units, treatment.k_units) < SMALL_SAMPLE_UNITS


def relative_interval(
    control: RatioSums, treatment: RatioSums, *, alpha: float
) -> Interval | Undetermined:
    """Return the Fieller interval of the relative lift; see :func:`fieller_set`.

    Args:
        control: Sums over the control's units; at least two, with a denominator.
        treatment: Sums over the treatment's units; likewise.
        alpha: Two-sided error rate; a one-sided bound at alpha is an end at 2·alpha.
    """
    critical = normal_critical_value(alpha)
    return fieller_set(control.estimate(), treatment.estimate(), critical=critical)


def rate_interval(
    sums: RatioSums,
    *,
    alpha: float,
    share: bool = False,
    event: str = "click",
    inflation: float = 1.0,
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
        inflation: What multiplies the variance.

    References:
        Wilson, E. B. (1927). Probable inference, the law of succession, and statistical
        inference. JASA 22(158), 209-212.
    """
    if sums.units < 2 or not sums.n:
        return Undetermined("no_traffic: a rate needs at least two units and a denominator")
    if share and 0 <= sums.k <= sums.n:
        if min(sums.k_units, sums.n - sums.k) < MIN_EVENT_UNITS or sums.variance <= 0:
            return _score_interval(sums, alpha=alpha, inflation=inflation)
    elif sums.k_units < MIN_EVENT_UNITS:
        return Undetermined(
            f"few_{event}s: {sums.k_units} units with a {event}, {MIN_EVENT_UNITS} are needed"
        )
    half = normal_critical_value(alpha) * math.sqrt(sums.variance * inflation)
    rate = sums.k / sums.n
    return Interval(rate - half, rate + half)


def _score_interval(sums: RatioSums, *, alpha: float, inflation: float) -> Interval:
    c2 = normal_critical_value(alpha) ** 2
    rate, trials = sums.k / sums.n, sums.n**2 / sums.nn / inflation
    middle = (rate + c2 / (2 * trials)) / (1 + c2 / trials)
    half = math.sqrt(c2 * (rate * (1 - rate) / trials + c2 / (4 * trials**2))) / (1 + c2 / trials)
    # An end is exact where nothing, or everything, is a success.
    low = max(0.0, middle - half) if sums.k else 0.0
    return Interval(low, min(1.0, middle + half) if sums.k < sums.n else 1.0)


def find_obstacle(
    control: RatioSums, treatment: RatioSums, *, share: bool, event: str
) -> Undetermined | None:
    """Return the gravest reason against a comparison: no traffic before few clicks.

    Args:
        control: Sums over the control's units.
        treatment: Sums over the treatment's units.
        share: Whether numerators count trials of the denominator.
        event: What a numerator counts, for the reasons.
    """
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
