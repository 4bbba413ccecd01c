"""A planning in words: one sentence first, then what it rests on, then what to beware of."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from abplatform.analysis.planning.forecast import Planning
from abplatform.analysis.planning.outlook import HORIZON, PlanOutlook
from abplatform.domain.experiment import UNIT_NOUNS
from abplatform.domain.metrics import METRICS
from abplatform.figures import percent
from abplatform.stats.sequential.plan import PlanKind

__all__ = [
    "headline",
    "noun_of",
    "plan_cells",
    "say_calendar",
    "say_count",
    "say_days",
    "say_lift",
    "say_traffic",
]

_HOUR = timedelta(hours=1)


def headline(planning: Planning, zone: ZoneInfo) -> str:
    """Return what to expect, in sentences that need no knowledge of statistics."""
    own, task = planning.own, planning.task
    lift, noun = say_lift(task.lift), noun_of(planning)
    final = _date(planning.calendar.latest_verdict, zone)
    end = f"the verdict is final on {final} at the latest"
    if own.days is not None and own.days <= task.max_days and own.units is not None:
        return (
            f"To find a lift of {lift} you need about {_rough(own.units)} {noun}: "
            f"{say_count(own.days)}; {end}."
        )
    reached = _rough(planning.forecast.units(task.max_days))
    finds = (
        "no lift worth the name"
        if own.smallest_lift is None
        else f"a lift of {say_lift(_signed(own.smallest_lift, planning))} or more"
    )
    needs = (
        f"is not found within {HORIZON} days"
        if own.days is None or own.units is None
        else f"needs about {_rough(own.units)} {noun}: {say_count(own.days)}"
    )
    return (
        f"{say_count(task.max_days)} with about {reached} {noun} find {finds}; a lift of {lift} "
        f"{needs}; {end}."
    )


def say_calendar(planning: Planning, zone: ZoneInfo) -> str:
    """Say when the run ends and when its verdict is final."""
    when, own = planning.calendar, planning.own
    waits = f"{_say_length(when.waiting)} for windows and late data"
    final = _date(when.latest_verdict, zone)
    begins, ends = _date(when.starts_at, zone), _date(when.decides_at, zone)
    text = f"starts {begins}, last look {ends}, plus {waits}: final on {final}"
    if own.plan is PlanKind.FIXED:
        return text
    first = _date(when.earliest_verdict, zone)
    return (
        f"{text}; the first verdict can be final on {first}, and on average it ends after "
        f"{own.days_with_effect:.0f} days with the lift, {own.days_without_effect:.0f} without"
    )


def say_traffic(planning: Planning) -> str:
    """Say what the forecast rests on."""
    traffic, facts = planning.traffic, planning.traffic.growth.facts
    experiment, noun = planning.experiment, noun_of(planning)
    metric = METRICS[experiment.primary.metric]
    log = f" ({say_count(traffic.days)} from {traffic.first_day}, {traffic.units:,} {noun})"
    effect = facts.design_effect if metric.name != "cvr" else None
    parts = [
        f"from {traffic.told}{log if traffic.days else ''}",
        f"{metric.name} {metric.write(facts.rate * metric.scale)}",
        f"{_BELOW.get(metric.denominator, metric.denominator)} per unit: {facts.per_unit:.3g}",
    ]
    if effect is not None:
        parts.append(f"design effect {effect:.2f}")
    if traffic.explained is not None:
        parts.append(f"CUPED explains {traffic.explained:.0%} of the variance")
    return ", ".join(parts)


_BELOW = {
    "impressions": "impressions",
    "clicked_impressions": "clicks",
    "conversions": "conversions",
    "cost_micros": "millionths of cost",
}


def say_lift(lift: float) -> str:
    """Write a lift with the digits it needs: ``3%``, ``4.1%``, ``-3%``."""
    size = abs(lift) * 100
    digits = 0 if math.isclose(size, round(size), abs_tol=1e-9) or size >= 20 else 1
    digits = 2 if size < 1 and digits else digits
    return percent(lift, digits=digits).removeprefix("+")


def noun_of(planning: Planning) -> str:
    """Return what is counted as a unit, in the plural."""
    if planning.traffic.origin == "reports":
        return "impressions"
    return UNIT_NOUNS[planning.experiment.unit]


def plan_cells(outlook: PlanOutlook) -> tuple[str, ...]:
    """Write what a plan finds and costs as one row: plan, lift, chance, units, days, samples."""
    return (
        outlook.plan.value,
        "none" if outlook.smallest_lift is None else say_lift(outlook.smallest_lift),
        f"{outlook.power:.0%}",
        _say_units(outlook),
        say_days(outlook.days),
        say_days(outlook.days_without_effect),
        say_days(outlook.days_with_effect),
        f"{outlook.cost:.2f}\N{MULTIPLICATION SIGN}",
    )


def _say_units(outlook: PlanOutlook) -> str:
    """Write how many units a plan needs."""
    return "\N{EN DASH}" if outlook.units is None else _rough(outlook.units)


def say_days(days: float | None) -> str:
    """Write a number of days."""
    return ">1 year" if days is None else f"{days:.0f}"


def _signed(size: float, planning: Planning) -> float:
    """A plan for a decrease finds the mirrored lift on the log scale."""
    return size if planning.task.lift > 0 else -size / (1 + size)


def _rough(value: float) -> str:
    """Write a number to two or three figures: people read 41,000, not 41,237."""
    if value < 100:
        return f"{math.ceil(value)}"
    step = 10 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step) * step:,}"


def say_count(days: int) -> str:
    """Write a number of days with its noun."""
    return "1 day" if days == 1 else f"{days} days"


def _say_length(length: timedelta) -> str:
    hours = length / _HOUR
    if hours < 24:
        return "1 hour" if hours == 1 else f"{hours:.3g} hours"
    return "1 day" if hours == 24 else f"{hours / 24:.3g} days"


def _date(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d}"
