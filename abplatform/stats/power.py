"""Planning on the log-ratio scale: how much information a lift needs, and what a unit brings.

A ratio r = Σk/Σn of a variant with U units has Var(log r̂) ≈ ω²/U, where ω² is what one unit
contributes,

    ω² = U·v/r²        v: variance of r̂ by the delta method; for a share with design effect D and
                       n̄ denominators a unit, ω² = D·(1 - r)/(r·n̄)

Two variants with shares w_c, w_t of U units, of whose variance covariates explain ρ² (CUPED), hold

    I = U / (ω²·(1 - ρ²)·(1/w_c + 1/w_t))        information, 1/Var(log(r̂_t/r̂_c))

A lift L moves the statistic by δ = ln(1 + L)·√I, the *drift*. One look with critical value c has
power Φ(δ - c) + Φ(-δ - c); a plan of several looks is its boundary, tried on Brownian motion
(:mod:`abplatform.stats.sequential`). So one number a plan, the drift δ* at which it rejects with
the power wanted, answers everything: the smallest lift found with information I is
exp(δ*/√I) - 1, the information for a lift is (δ*/ln(1 + L))², and δ*² against that of one look is
what the plan costs in samples.

References:
    Jennison, C., Turnbull, B. W. (2000). Group sequential methods with applications to clinical
    trials. Chapman & Hall, chapters 2 and 7.
    Deng, A., Knoblich, U., Lu, J. (2018). Applying the delta method in metric analytics.
    KDD 2018, arXiv:1803.06336.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.stats.anytime import anytime_critical_value
from abplatform.stats.ratio import RatioSums, normal_critical_value
from abplatform.stats.sequential.boundaries import boundary_bounds
from abplatform.stats.sequential.clock import run_clock
from abplatform.stats.sequential.plan import Plan, PlanKind
from abplatform.stats.sequential.recursion import Recursion
from abplatform.stats.undetermined import Undetermined

__all__ = [
    "LookPlan",
    "Precision",
    "detectable_lift",
    "fixed_drift",
    "fixed_power",
    "information_for",
    "needed_drift",
    "share_unit_variance",
    "unit_variance",
]


@dataclass(frozen=True, slots=True)
class Precision:
    """What decides how much information units bring.

    Args:
        unit_variance: ω², variance of log r̂ times units; above 0.
        control_share: w_c, the control's share of all units, 0 … 1.
        treatment_share: w_t, the treatment's share of all units, 0 … 1.
        explained: ρ², the share of ω² that covariates explain, 0 (included) … 1.

    Raises:
        ValueError: One of them is out of its range.
    """

    unit_variance: float
    control_share: float
    treatment_share: float
    explained: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no experiment can have."""
        shares = (self.control_share, self.treatment_share)
        if not (0 < self.unit_variance < math.inf and 0 <= self.explained < 1):
            message = f"no precision follows from {self}"
            raise ValueError(message)
        if min(shares) <= 0 or sum(shares) > 1 + 1e-9:
            message = f"shares lie above 0 and add up to 1 at most, not {shares}"
            raise ValueError(message)

    @property
    def per_unit(self) -> float:
        """Information that one unit brings, whichever variant it falls into."""
        spread = 1 / self.control_share + 1 / self.treatment_share
        return 1 / (self.unit_variance * (1 - self.explained) * spread)

    def information(self, units: float) -> float:
        """Return the information of this many units in all variants."""
        return units * self.per_unit

    def units(self, information: float) -> float:
        """Return how many units in all variants hold this information."""
        return information / self.per_unit


def unit_variance(sums: RatioSums) -> float | Undetermined:
    """Return ω² = U·v/r² of one variant's units.

    Args:
        sums: Sums over its units.
    """
    if sums.units < 2 or sums.n <= 0:
        return Undetermined("few_units: a variance needs at least two units and a denominator")
    if sums.k <= 0:
        return Undetermined("no_events: a rate of zero has no relative lift to plan for")
    if sums.variance <= 0:
        return Undetermined("no_variance: every unit has the same rate")
    return sums.units * sums.variance * (sums.n / sums.k) ** 2


def share_unit_variance(rate: float, *, per_unit: float, design_effect: float) -> float:
    """Return ω² = D·(1 - r)/(r·n̄) of a share, from what people know by heart.

    Args:
        rate: r, such as a CTR; above 0 and below 1.
        per_unit: n̄, denominators (impressions) per unit; above 0.
        design_effect: D, variance by unit over variance by independent trial; above 0.

    Raises:
        ValueError: One of them is out of its range.
    """
    if not (0 < rate < 1 and 0 < per_unit < math.inf and 0 < design_effect < math.inf):
        message = f"no variance follows from rate {rate}, {per_unit} a unit, {design_effect}"
        raise ValueError(message)
    return design_effect * (1 - rate) / (rate * per_unit)


def fixed_power(drift: float, *, critical: float) -> float:
    """Return P(|Z + δ| ≥ c) = Φ(δ - c) + Φ(-δ - c), the power of one look.

    Args:
        drift: δ = ln(1 + L)·√I, of either sign.
        critical: c, such as 1.96.
    """
    from scipy.special import ndtr

    return float(ndtr(drift - critical) + ndtr(-drift - critical))


def needed_drift(power_at: Callable[[float], float], *, power: float) -> float:
    """Return the drift δ* ≥ 0 at which a plan rejects with this power.

    Args:
        power_at: Drift to power, increasing from the plan's error rate at 0.
        power: Above that error rate, below 1.

    Raises:
        ValueError: The plan has that power without any effect, or never reaches it.
    """
    from scipy.optimize import brentq

    high = 8.0
    while power_at(high) < power and high < 1000:
        high *= 2
    if not power_at(0.0) < power < power_at(high):
        message = f"no drift gives a power of {power}; it lies above alpha and below 1"
        raise ValueError(message)
    return float(brentq(lambda drift: power_at(drift) - power, 0.0, high, xtol=1e-10))


def fixed_drift(*, alpha: float, power: float, critical: float | None = None) -> float:
    """Return δ* of one look, about c + z_power.

    Args:
        alpha: Two-sided error rate.
        power: Wanted probability to reject.
        critical: c, in place of the normal one at alpha, such as Dunnett's for several treatments.
    """
    c = normal_critical_value(alpha) if critical is None else critical
    return needed_drift(lambda drift: fixed_power(drift, critical=c), power=power)


def information_for(lift: float, *, drift: float) -> float:
    """Return I = (δ*/ln(1 + L))², which a relative lift needs.

    Args:
        lift: L, above -1 and not 0.
        drift: δ* of the plan.

    Raises:
        ValueError: The lift is 0, or nothing would be left.
    """
    if not (-1 < lift < math.inf) or lift == 0:
        message = f"a lift lies above -100 % and is not 0; {lift} cannot be planned for"
        raise ValueError(message)
    return (drift / math.log1p(lift)) ** 2


def detectable_lift(information: float, *, drift: float) -> float:
    """Return exp(δ*/√I) - 1, the smallest relative lift that a plan finds.

    Args:
        information: I, above 0.
        drift: δ* of the plan.
    """
    exponent = drift / math.sqrt(information)
    # exp overflows at 709: with hardly any information every finite lift is too small to find.
    return math.expm1(exponent) if exponent < 700 else math.inf


class LookPlan:
    """A plan's boundaries at looks with independent increments, and how soon they are crossed.

    Args:
        days: Day of each look, rising; the plan ends on the last one at the latest.
        information: I_k of each look, strictly rising.
        boundaries: b_k of each look, infinite where a look cannot stop anything; None to solve
            them from ``spends``.
        spends: a_k of each look, the error that it may spend.

    Raises:
        ValueError: There is no look, or information does not rise.
    """

    def __init__(
        self,
        days: Sequence[int],
        information: Sequence[float],
        *,
        boundaries: Sequence[float] | None = None,
        spends: Sequence[float] = (),
    ) -> None:
        if not days:
            message = "a plan needs a look"
            raise ValueError(message)
        self.days = tuple(days)
        self.information = tuple(information)
        self._recursion = Recursion()
        if boundaries is None:
            self.boundaries = self._solve(spends)
        else:
            self.boundaries = tuple(boundaries)
            for one, boundary in zip(information, boundaries, strict=True):
                self._recursion.record(one, min(boundary, _NEVER))

    def _solve(self, spends: Sequence[float]) -> tuple[float, ...]:
        lows, highs = boundary_bounds(spends, np.cumsum(spends))
        found = []
        looks = zip(self.information, spends, lows, highs, strict=True)
        for one, here, low, high in looks:
            boundary = math.inf
            if here > 0:
                boundary = self._recursion.solve(one, here, (float(low), float(high)))
            self._recursion.record(one, min(boundary, _NEVER))
            found.append(boundary)
        return tuple(found)

    @classmethod
    def following(
        cls, plan: Plan, information: Sequence[float], *, usable: Sequence[bool] | None = None
    ) -> LookPlan:
        """Return the looks that a plan will take if information comes as forecast.

        Args:
            plan: Sequential, anytime or fixed.
            information: I at the end of each of the plan's days.
            usable: Whether enough units have an event by then; default always. The last look is
                taken all the same.

        Raises:
            ValueError: There is no information by the plan's last day.
        """
        known = np.asarray(information, dtype=float)
        ready = np.ones(known.shape, dtype=bool) if usable is None else np.array(usable)
        ready[-1] = True
        clock = run_clock(plan, plan.days, known, ready)
        kept: list[int] = []
        for at in np.flatnonzero(ready & ~clock.over & (known > 0)).tolist():
            if not kept or known[at] >= _LEAST_RISE * known[kept[-1]]:
                kept.append(at)
            elif bool(clock.last[at]):
                # Nothing new to see: the last look stands for both.
                kept[-1] = at
        days, amounts = [plan.days[at] for at in kept], known[kept].tolist()
        if plan.kind is PlanKind.ANYTIME:
            x = known[kept] * plan.tau2
            critical = np.asarray(anytime_critical_value(alpha=plan.alpha, x=x)).tolist()
            return cls(days, amounts, boundaries=critical)
        return cls(days, amounts, spends=np.diff(clock.spent[kept], prepend=0.0).tolist())

    def stops(self, drift: float) -> npt.NDArray[np.float64]:
        """Return P(the first crossing is at look k), one entry a look.

        Args:
            drift: θ, the mean of Z/√I: ln(1 + L) where information is in its own unit.
        """
        crossings = self._recursion.crossings(drift=drift)
        both: npt.NDArray[np.float64] = np.add(crossings.upper, crossings.lower)
        return both

    def power(self, drift: float) -> float:
        """Return P(any boundary is crossed) at a drift."""
        return float(self.stops(drift).sum())

    def expected_day(self, drift: float) -> float:
        """Return the mean day on which the plan ends; without a crossing that is its last.

        Args:
            drift: θ.
        """
        stops = self.stops(drift)
        return float(stops @ np.asarray(self.days) + (1 - stops.sum()) * self.days[-1])


_LEAST_RISE = 1.002
"""A look whose information is hardly above that of the look before it changes no power."""

_NEVER = 40.0
"""No statistic ever gets there: P(|Z| ≥ 40) is 1e-349."""
