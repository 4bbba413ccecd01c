"""What each plan costs and finds, given how units and information gather.

Everything runs on Brownian motion at the information that is forecast for the end of each day, with
the boundaries of the very plan that will be followed (:mod:`abplatform.stats.sequential`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from abplatform.analysis.planning.growth import Growth, UnitFacts, grow_evenly
from abplatform.analysis.planning.task import Task
from abplatform.stats.anytime import ANYTIME_EVENT_UNITS
from abplatform.stats.power import (
    LookPlan,
    Precision,
    detectable_lift,
    fixed_drift,
    fixed_power,
    information_for,
    needed_drift,
)
from abplatform.stats.ratio import SMALL_SAMPLE_UNITS
from abplatform.stats.sequential.plan import (
    Plan,
    PlanKind,
    sequential_plan,
)

__all__ = ["HORIZON", "Forecast", "PlanOutlook", "look_at_plans"]

HORIZON = 366
"""Days beyond which nothing is searched: the longest runtime that YAML takes."""


@dataclass(frozen=True)
class Forecast:
    """Units and information to come, for the treatment that has the fewest units.

    Args:
        growth: How units of the past gathered.
        scale: Units planned over units seen.
        control_share: Of all units, 0 … 1.
        treatment_share: Of all units, 0 … 1.
        explained: ρ² of CUPED.
        steps: Day of each ramp step and the share of the final traffic that it adds.
    """

    growth: Growth
    scale: float
    control_share: float
    treatment_share: float
    explained: float = 0.0
    steps: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    def units(self, day: float) -> float:
        """Return how many units there are in all variants by the end of a day."""
        return self.scale * sum(
            share * self.growth.units.at(day - start) for start, share in self.steps
        )

    def information(self, day: float) -> float:
        """Return the information by the end of a day."""
        worth = sum(share * self.growth.worth.at(day - start) for start, share in self.steps)
        return self._precision.information(self.scale * worth)

    def event_units(self, day: float) -> float:
        """Return how many units of the smaller variant have an event by the end of a day."""
        events = sum(share * self.growth.events.at(day - start) for start, share in self.steps)
        return self.scale * events * min(self.control_share, self.treatment_share)

    def day_of(self, information: float) -> float | None:
        """Return after how many days there is so much information; None beyond the horizon."""
        from scipy.optimize import brentq

        if self.information(HORIZON) < information:
            return None
        return float(
            brentq(lambda day: self.information(day) - information, 0.0, HORIZON, xtol=1e-6)
        )

    @cached_property
    def _precision(self) -> Precision:
        # The growth counts units over their variance already.
        return Precision(1.0, self.control_share, self.treatment_share, self.explained)


@dataclass(frozen=True, slots=True)
class PlanOutlook:
    """What one plan finds and costs.

    Args:
        plan: Which one.
        smallest_lift: The lift it finds with the power wanted by max_runtime; None if that is
            more than 1000 %.
        power: Its power for the lift asked for by max_runtime.
        units: Units it needs for that lift, in all variants; None beyond the horizon.
        days: Days it needs for that; likewise.
        days_without_effect: Mean days until it ends when there is no effect.
        days_with_effect: Mean days until it ends when the lift is as asked for.
        cost: Samples it needs over those of the fixed plan, where they come evenly.
        curve: Day to the smallest lift by then.
    """

    plan: PlanKind
    smallest_lift: float | None
    power: float
    units: float | None
    days: int | None
    days_without_effect: float
    days_with_effect: float
    cost: float
    curve: Mapping[int, float]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "plan": self.plan.value,
            "smallest_lift": self.smallest_lift,
            "power": self.power,
            "units": None if self.units is None else math.ceil(self.units),
            "days": self.days,
            "days_without_effect": self.days_without_effect,
            "days_with_effect": self.days_with_effect,
            "cost": self.cost,
            "curve": [{"day": day, "smallest_lift": lift} for day, lift in self.curve.items()],
        }


def look_at_plans(task: Task, forecast: Forecast) -> tuple[PlanOutlook, ...]:
    """Return the outlook of every plan, the fixed one first.

    Args:
        task: What is to be found.
        forecast: How information gathers.
    """
    order = (PlanKind.FIXED, PlanKind.SEQUENTIAL, PlanKind.ANYTIME)
    needs = {kind: _needed_day(task, forecast, kind) for kind in order}
    last = max([task.max_days, *(math.ceil(day) for day in needs.values() if day)])
    shown = _round_days(task, min(last + 2, HORIZON))
    return tuple(_look_at(task, forecast, kind, need=needs[kind], shown=shown) for kind in order)


def _look_at(
    task: Task, forecast: Forecast, kind: PlanKind, *, need: float | None, shown: Sequence[int]
) -> PlanOutlook:
    followed = _follow(task.plan(kind), forecast)
    power = followed.power(task.drift)
    if kind is PlanKind.FIXED:
        # Several treatments share the error by Dunnett's value, not by halves.
        root = math.sqrt(forecast.information(task.max_days))
        power = fixed_power(task.drift * root, critical=task.critical)
    smallest = detectable_lift(
        forecast.information(task.max_days),
        drift=_drift_of(task, forecast, kind, task.max_days),
    )
    return PlanOutlook(
        plan=kind,
        smallest_lift=smallest if smallest < _ABSURD else None,
        power=power,
        units=None if need is None else forecast.units(need),
        days=None if need is None else math.ceil(need - 1e-9),
        days_without_effect=followed.expected_day(0.0),
        days_with_effect=followed.expected_day(task.drift),
        cost=_cost(task, kind),
        curve=_curve(task, forecast, kind, shown),
    )


_ABSURD = 10.0


def _follow(plan: Plan, forecast: Forecast) -> LookPlan:
    least = ANYTIME_EVENT_UNITS if plan.kind is PlanKind.ANYTIME else SMALL_SAMPLE_UNITS
    return LookPlan.following(
        plan,
        [forecast.information(day) for day in plan.days],
        usable=[forecast.event_units(day) >= least for day in plan.days],
    )


def _fixed_drift(task: Task) -> float:
    return fixed_drift(alpha=task.alpha, power=task.power, critical=task.critical)


def _ending(task: Task, forecast: Forecast, last_day: int) -> LookPlan:
    """Return the looks of a sequential plan that was planned to be full on a day."""
    plan = sequential_plan(alpha=task.alpha / task.treatments, days=task.days(last_day))
    return _follow(replace(plan, information_max=forecast.information(last_day)), forecast)


def _needed_day(task: Task, forecast: Forecast, kind: PlanKind) -> float | None:
    """Return after how many days a plan has the power wanted; None beyond the horizon."""
    day = forecast.day_of(information_for(task.lift, drift=_fixed_drift(task)))
    if kind is PlanKind.FIXED or day is None:
        return day
    if kind is PlanKind.ANYTIME:
        return _needed_anytime_day(task, forecast, first=day)
    # What looks cost hardly depends on how many there are: two rounds settle it.
    for _ in range(3):
        last = max(math.ceil(day), 1)
        drift = _sequential_drift(task, forecast, last)
        day = forecast.day_of(information_for(task.lift, drift=drift))
        if day is None:
            return None
    return day


def _sequential_drift(task: Task, forecast: Forecast, last_day: int) -> float:
    looks = _ending(task, forecast, last_day)
    root = math.sqrt(looks.information[-1])
    return needed_drift(lambda drift: looks.power(drift / root), power=task.power)


def _needed_anytime_day(task: Task, forecast: Forecast, *, first: float) -> float | None:
    last = math.ceil(first)
    while last < HORIZON:
        last = min(2 * last, HORIZON)
        looks = _follow(task.plan(PlanKind.ANYTIME, last_day=last), forecast)
        reached = np.cumsum(looks.stops(task.drift))
        if reached[-1] >= task.power:
            at = int(np.searchsorted(reached, task.power))
            if at == 0:
                return float(looks.days[0])
            # Within a day power is taken to rise evenly.
            part = (task.power - reached[at - 1]) / (reached[at] - reached[at - 1])
            return float(looks.days[at - 1] + part * (looks.days[at] - looks.days[at - 1]))
    return None


def _drift_of(task: Task, forecast: Forecast, kind: PlanKind, day: int) -> float:
    """Return δ* of a plan that ends on a day."""
    if kind is PlanKind.FIXED or (kind is PlanKind.SEQUENTIAL and day <= task.min_days):
        return _fixed_drift(task)
    if kind is PlanKind.SEQUENTIAL:
        return _sequential_drift(task, forecast, day)
    looks = _follow(task.plan(PlanKind.ANYTIME, last_day=day), forecast)
    root = math.sqrt(looks.information[-1])
    return needed_drift(lambda drift: looks.power(drift / root), power=task.power)


def _cost(task: Task, kind: PlanKind) -> float:
    """Return what a plan needs over what one look needs, were max_runtime just enough for that."""
    days = min(task.max_days, _EVEN_DAYS)
    first = max(1, round(task.min_days * days / task.max_days))
    alone = information_for(task.lift, drift=_fixed_drift(task))
    facts = UnitFacts(rate=0.5, per_unit=1.0, unit_variance=1.0, event_share=1.0)
    even = Forecast(
        growth=grow_evenly(facts, units_per_day=4 * alone / days),
        scale=1.0,
        control_share=0.5,
        treatment_share=0.5,
    )
    need = _needed_day(replace(task, min_days=first, max_days=days), even, kind)
    return math.inf if need is None else need / days


_EVEN_DAYS = 60
"""Long runs are scaled down to this for the comparison, so that six times as long is searched."""


def _curve(
    task: Task, forecast: Forecast, kind: PlanKind, shown: Sequence[int]
) -> dict[int, float]:
    """Return the smallest lift by day; what looks cost changes slowly and is read between knots."""
    days = [day for day in shown if day >= (1 if kind is PlanKind.FIXED else task.min_days)]
    days = [day for day in days if forecast.information(day) > 0]
    knots = sorted({days[0], days[len(days) // 3], days[2 * len(days) // 3], days[-1]})
    drifts = [_drift_of(task, forecast, kind, day) for day in knots]
    found = {
        day: detectable_lift(
            forecast.information(day),
            drift=float(np.interp(math.log(day), np.log(knots), drifts)),
        )
        for day in days
    }
    return {day: lift for day, lift in found.items() if lift < _ABSURD}


def _round_days(task: Task, last: int) -> list[int]:
    """Return at most about 24 days up to the last one, those of the plan among them."""
    step = max(1, round(last / 20))
    return sorted({*range(step, last + 1, step), task.min_days, task.max_days, last})
