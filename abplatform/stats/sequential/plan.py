"""When an experiment is looked at, and what each look may decide.

One dataclass for all three plans, so that whoever takes looks treats them alike:

    sequential   daily looks share alpha by a spending function over information
    anytime      daily looks at a confidence sequence that holds at all times at once
    fixed        one look, at the end: a sequential plan with a single look
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from abplatform.stats.anytime import mixture_variance
from abplatform.stats.ratio import normal_critical_value
from abplatform.stats.sequential.boundaries import BoundaryWalk
from abplatform.stats.sequential.recursion import crossing_probabilities
from abplatform.stats.sequential.spending import Spending, spend

__all__ = [
    "DEFAULT_MDE",
    "DEFAULT_POWER",
    "Plan",
    "PlanKind",
    "anytime_plan",
    "fixed_information",
    "fixed_plan",
    "inflation_factor",
    "plan_information",
    "planned_boundaries",
    "sequential_plan",
]

Floats = npt.NDArray[np.float64]

DEFAULT_POWER = 0.8

DEFAULT_MDE = 0.05
"""The relative lift that a confidence sequence is tuned to where the plan names none."""


class PlanKind(StrEnum):
    """How looks decide."""

    SEQUENTIAL = "sequential"
    ANYTIME = "anytime"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Plan:
    """When an experiment is looked at, and what each look may decide.

    Args:
        kind: How looks decide.
        alpha: Two-sided error of this contrast over all looks.
        days: Numbers of the days at whose end a look is planned, rising; the last is
            ``max_runtime``. Day 1 is the first workspace day.
        information_max: Planned information, or None: then time alone is the clock.
        spending: How a sequential plan shares alpha.
        tau2: Variance of the mixture over log ratios, for the confidence sequence.

    Raises:
        ValueError: Days do not rise from 1 on, or a number is out of range.
    """

    kind: PlanKind
    alpha: float
    days: tuple[int, ...]
    information_max: float | None
    spending: Spending
    tau2: float

    def __post_init__(self) -> None:
        """Refuse plans that nobody can follow."""
        rising = all(a < b for a, b in zip(self.days, self.days[1:], strict=False))
        if not self.days or self.days[0] < 1 or not rising:
            message = f"days of looks rise from 1 on: {self.days}"
            raise ValueError(message)
        if not 0 < self.alpha < 1:
            message = f"alpha lies between 0 and 1, not at {self.alpha}"
            raise ValueError(message)
        if self.information_max is not None and not 0 < self.information_max < math.inf:
            message = f"planned information is positive, not {self.information_max}"
            raise ValueError(message)

    @property
    def last_day(self) -> int:
        """The day of ``max_runtime``, at whose end the last look is at the latest."""
        return self.days[-1]

    @property
    def planned(self) -> tuple[float, ...]:
        """Fractions of information that the planned looks would have if it came evenly."""
        return tuple(day / self.last_day for day in self.days)

    def fraction(self, day: int, highest: npt.ArrayLike) -> Floats:
        """Return t, how far the experiment is.

        Args:
            day: Number of the day.
            highest: Largest information so far; any shape.
        """
        ours = np.asarray(highest, dtype=float)
        if self.information_max is None:
            return np.full(ours.shape, min(1.0, day / self.last_day))
        return np.minimum(1.0, ours / self.information_max)

    def spent_by(self, fraction: npt.ArrayLike) -> Floats:
        """Return A(t), what may have been spent by a fraction of information.

        Args:
            fraction: t, from 0 to 1; any shape.
        """
        return spend(self.spending, fraction, alpha=self.alpha, planned=self.planned)


def sequential_plan(
    *,
    alpha: float,
    days: Sequence[int],
    mde: float | None = None,
    power: float = DEFAULT_POWER,
    spending: Spending = Spending.OBRIEN_FLEMING,
) -> Plan:
    """Return a plan whose daily looks share alpha by a spending function.

    Args:
        alpha: Two-sided error of this contrast over all looks.
        days: Days of the planned looks, from ``min_runtime`` to ``max_runtime``.
        mde: Relative lift to be found, such as 0.03; None lets time be the clock.
        power: Probability of finding it.
        spending: How alpha is shared.
    """
    maximum = None
    if mde is not None:
        maximum = plan_information(alpha=alpha, power=power, mde=mde, days=days, spending=spending)
    tau2 = _tune(alpha, mde, power)
    return Plan(PlanKind.SEQUENTIAL, alpha, tuple(days), maximum, spending, tau2)


def anytime_plan(
    *, alpha: float, days: Sequence[int], mde: float | None = None, power: float = DEFAULT_POWER
) -> Plan:
    """Return a plan that ends when the confidence sequence excludes no difference.

    Args:
        alpha: Error of the whole sequence, however long.
        days: Days of the looks; the last one ends the experiment.
        mde: Relative lift whose planned sample the sequence is tuned to; default 5 %.
        power: Power of that sample for a fixed test.
    """
    maximum = None if mde is None else fixed_information(alpha=alpha, power=power, mde=mde)
    tau2 = _tune(alpha, mde, power)
    return Plan(PlanKind.ANYTIME, alpha, tuple(days), maximum, Spending.OBRIEN_FLEMING, tau2)


def fixed_plan(
    *, alpha: float, day: int, mde: float | None = None, power: float = DEFAULT_POWER
) -> Plan:
    """Return a plan with one look, at the end.

    Args:
        alpha: Two-sided error of that look.
        day: At whose end it is.
        mde: Relative lift to be found; tunes the monitoring confidence sequence only.
        power: Probability of finding it.
    """
    tau2 = _tune(alpha, mde, power)
    return Plan(PlanKind.FIXED, alpha, (day,), None, Spending.OBRIEN_FLEMING, tau2)


def fixed_information(*, alpha: float, power: float, mde: float) -> float:
    """Return ((z(1 - alpha/2) + z_power)/ln(1 + mde))², the information that one look needs.

    Information is 1/variance of the log ratio of two rates.

    Args:
        alpha: Two-sided error.
        power: Probability of finding the lift.
        mde: Relative lift, above -1 and not 0.

    Raises:
        ValueError: A number is out of range.
    """
    if not (mde > -1 and mde != 0 and alpha / 2 < power < 1):
        message = f"no sample finds a lift of {mde} with power {power} at alpha {alpha}"
        raise ValueError(message)
    return ((normal_critical_value(alpha) + _quantile(power)) / math.log1p(mde)) ** 2


def plan_information(
    *,
    alpha: float,
    power: float,
    mde: float,
    days: Sequence[int],
    spending: Spending = Spending.OBRIEN_FLEMING,
) -> float:
    """Return I_max = R·((z(1 - alpha/2) + z_power)/ln(1 + mde))².

    R is what daily looks cost in sample, solved from the boundaries of the planned looks.

    Args:
        alpha: Two-sided error over all looks.
        power: Probability of finding the lift at some look.
        mde: Relative lift.
        days: Days of the planned looks; information is taken to come evenly.
        spending: How alpha is shared.
    """
    planned = tuple(day / days[-1] for day in days)
    factor = inflation_factor(alpha=alpha, power=power, planned=planned, spending=spending)
    return factor * fixed_information(alpha=alpha, power=power, mde=mde)


@lru_cache(maxsize=256)
def inflation_factor(
    *,
    alpha: float,
    power: float,
    planned: tuple[float, ...],
    spending: Spending = Spending.OBRIEN_FLEMING,
) -> float:
    """Return R, the maximum information of a sequential plan over that of a fixed one.

    Args:
        alpha: Two-sided error.
        power: Probability of crossing on the side of the effect.
        planned: Fractions of information of the planned looks, rising to 1.
        spending: How alpha is shared.

    References:
        Jennison, C., Turnbull, B. W. (2000). Group Sequential Methods, sections 2.3 and 7.2.
    """
    from scipy.optimize import brentq

    boundaries = planned_boundaries(alpha=alpha, planned=planned, spending=spending)
    alone = normal_critical_value(alpha) + _quantile(power)

    def shortfall(drift: float) -> float:
        return math.fsum(crossing_probabilities(planned, boundaries, drift=drift).upper) - power

    drift = brentq(shortfall, alone * 0.99, alone * 1.5 + 1, xtol=1e-10)
    return float((drift / alone) ** 2)


@lru_cache(maxsize=256)
def planned_boundaries(
    *,
    alpha: float,
    planned: tuple[float, ...],
    spending: Spending = Spending.OBRIEN_FLEMING,
) -> tuple[float, ...]:
    """Return b_k of looks that fall just as planned, increments independent.

    Args:
        alpha: Two-sided error.
        planned: Fractions of information, rising to 1.
        spending: How alpha is shared.
    """
    spent = spend(spending, planned, alpha=alpha, planned=planned)
    fractions = np.asarray(planned)
    ratio = fractions[:, None] / fractions[None, :]
    walk = BoundaryWalk(planned, np.sqrt(np.minimum(ratio, 1 / ratio)))
    found = []
    for here in np.diff(spent, prepend=0.0).tolist():
        found.append(walk.solve(here))
        walk.record(here, found[-1])
    return tuple(found)


def _tune(alpha: float, mde: float | None, power: float) -> float:
    lift = DEFAULT_MDE if mde is None else mde
    return mixture_variance(
        alpha=alpha, information=fixed_information(alpha=alpha, power=power, mde=lift)
    )


def _quantile(power: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(power))
