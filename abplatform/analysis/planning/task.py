"""What an experiment is asked to find, and the plans that a start would fix for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from abplatform.domain.experiment import Experiment, Variant
from abplatform.errors import AnalysisError
from abplatform.stats.dunnett import joint_critical_value
from abplatform.stats.sequential.plan import (
    DEFAULT_MDE,
    DEFAULT_POWER,
    Plan,
    PlanKind,
    anytime_plan,
    fixed_plan,
    sequential_plan,
)

__all__ = ["Task", "task_of", "tested"]

_DAY = timedelta(days=1)
_LOOKS = 60


@dataclass(frozen=True, slots=True)
class Task:
    """What an experiment is asked to find.

    Args:
        lift: The relative lift to be found.
        alpha: Two-sided error rate of the whole experiment.
        treatments: How many treatments share it.
        critical: Critical value of one look, for this many treatments.
        min_days: Days before the first look.
        max_days: Days to the last look.
        mde: The lift that the YAML fixes the plan for; None where it names none.
        power: Wanted probability of finding the lift.
    """

    lift: float
    alpha: float
    treatments: int
    critical: float
    min_days: int
    max_days: int
    mde: float | None
    power: float = DEFAULT_POWER

    @property
    def drift(self) -> float:
        """θ of the lift on the log scale."""
        return math.log1p(self.lift)

    def days(self, last: int) -> list[int]:
        """Return the days of the looks of a plan that ends on a day."""
        first = min(self.min_days, last)
        # From some 60 looks on another one changes no figure that is shown, and takes its time.
        return [*range(first, last, max(1, (last - first) // _LOOKS)), last]

    def plan(self, kind: PlanKind, *, last_day: int | None = None) -> Plan:
        """Return the plan of one treatment as a start would fix it; of several, each has its share.

        Args:
            kind: Which plan.
            last_day: Of its looks; default max_days.
        """
        last = last_day or self.max_days
        days, alpha = self.days(last), self.alpha / self.treatments
        if kind is PlanKind.SEQUENTIAL:
            return sequential_plan(alpha=alpha, days=days, mde=self.mde, power=self.power)
        if kind is PlanKind.ANYTIME:
            return anytime_plan(alpha=alpha, days=days, mde=self.mde, power=self.power)
        return fixed_plan(alpha=alpha, day=last, mde=self.mde, power=self.power)


def task_of(experiment: Experiment, *, days: int) -> Task:
    """Return what an experiment is asked to find.

    Args:
        experiment: As its YAML says.
        days: Days to the last look.
    """
    analysis, primary = experiment.analysis, experiment.primary
    size = DEFAULT_MDE if primary.mde is None else primary.mde
    if primary.direction == "decrease" and size >= 1:
        raise AnalysisError(f"a metric cannot fall by {size:.0%}", remedy="name an mde below 100%")
    control = experiment.control.weight
    shared = [math.sqrt(one.weight / (one.weight + control)) for one in tested(experiment)]
    return Task(
        lift=size if primary.direction == "increase" else -size,
        alpha=analysis.alpha,
        treatments=len(experiment.treatments),
        critical=joint_critical_value(shared, alpha=analysis.alpha),
        min_days=min(max(1, math.ceil(analysis.min_runtime / _DAY)), days),
        max_days=days,
        mde=primary.mde,
    )


def tested(experiment: Experiment) -> list[Variant]:
    """Return the treatments that get units at all."""
    found = [one for one in experiment.treatments if one.weight > 0]
    if not found or experiment.control.weight <= 0:
        raise AnalysisError(
            f"{experiment.key} gives units to one variant only; nothing can be compared",
            remedy="give the control and a treatment a weight above 0",
        )
    return found
