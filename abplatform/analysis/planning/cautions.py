"""What to beware of in a planning, and the planning as JSON data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.planning.forecast import Planning
from abplatform.analysis.planning.outlook import HORIZON
from abplatform.analysis.planning.past import COUNTED
from abplatform.analysis.planning.words import headline, noun_of, say_count, say_lift
from abplatform.analysis.scorecard import Warned
from abplatform.stats.ratio import SMALL_SAMPLE_UNITS

__all__ = ["planning_json", "warnings_of"]

_LOPSIDED = 1.15


def warnings_of(planning: Planning) -> list[Warned]:
    """Return what to beware of."""
    return [
        *planning.traffic.notes,
        *_warn_of_runtime(planning),
        *_warn_of_weights(planning),
        *_warn_of_share(planning),
        *_warn_of_targeting(planning),
        *_warn_of_log(planning),
        *_warn_of_events(planning),
        *_warn_of_cuped(planning),
    ]


def planning_json(planning: Planning, zone: ZoneInfo) -> dict[str, Any]:
    """Return the planning as JSON data."""
    experiment, task = planning.experiment, planning.task
    return {
        "experiment": experiment.key,
        "metric": experiment.primary.metric,
        "plan": experiment.analysis.test,
        "sentence": headline(planning, zone),
        "mde": experiment.primary.mde,
        "lift": task.lift,
        "alpha": task.alpha,
        "power": task.power,
        "treatments": task.treatments,
        "min_days": task.min_days,
        "max_days": task.max_days,
        "traffic": planning.traffic.to_json(),
        "units_by_day": [
            {
                "day": day,
                "units": round(planning.forecast.units(day)),
                "seen": day <= planning.traffic.days,
            }
            for day in range(1, task.max_days + 1)
        ],
        "calendar": planning.calendar.to_json(),
        "plans": [plan.to_json() for plan in planning.plans],
        "warnings": [{"code": one.code, "message": one.message} for one in warnings_of(planning)],
    }


def _warn_of_runtime(planning: Planning) -> Iterator[Warned]:
    task, own = planning.task, planning.own
    if planning.experiment.primary.mde is None:
        yield Warned(
            "mde_missing",
            f"the YAML names no mde; a lift of {say_lift(task.lift)} is reckoned with, "
            "set metrics.primary.mde or give --mde",
        )
    if not planning.suffices:
        lasts = "more than a year" if own.days is None else say_count(own.days)
        yield Warned(
            "runtime_too_short",
            f"max_runtime is {say_count(task.max_days)}; a lift of {say_lift(task.lift)} takes "
            f"{lasts}, and by max_runtime it is found with a probability of {own.power:.0%} only",
        )


def _warn_of_weights(planning: Planning) -> Iterator[Warned]:
    forecast, task = planning.forecast, planning.task
    # The best split gives the control √m shares of a treatment's one.
    best = (1 + math.sqrt(task.treatments)) ** 2
    spread = 1 / forecast.control_share + 1 / forecast.treatment_share
    if spread / best > _LOPSIDED:
        yield Warned(
            "weights_lopsided",
            f"with {forecast.control_share:.0%} of {noun_of(planning)} in the "
            f"control and {forecast.treatment_share:.0%} in the smallest treatment it takes "
            f"{spread / best:.1f} times the {noun_of(planning)} of the best split",
        )


def _warn_of_share(planning: Planning) -> Iterator[Warned]:
    reach, own = planning.traffic.reach, planning.own
    if reach > 0.99 or planning.suffices or planning.traffic.origin == "assumed":
        return
    whole = replace(planning.forecast, scale=planning.forecast.scale / reach)
    need = None if own.units is None else planning.forecast.information(own.days or 0)
    day = None if need is None else whole.day_of(need)
    sooner = "" if day is None else f"; with all of it the same takes {say_count(math.ceil(day))}"
    yield Warned(
        "traffic_limited",
        f"layer share, ramp and holdout leave it {reach:.0%} of the traffic{sooner}",
    )


def _warn_of_targeting(planning: Planning) -> Iterator[Warned]:
    unseen = [name for name in planning.experiment.targeting if name not in COUNTED]
    if unseen and planning.traffic.origin in {"experiment", "impressions"}:
        yield Warned(
            "targeting_unseen",
            f"the log cannot tell whom targeting by {', '.join(unseen)} leaves out: fewer "
            f"{noun_of(planning)} may come than this counts; --units-per-day says how many do",
        )


def _warn_of_log(planning: Planning) -> Iterator[Warned]:
    traffic, task, own = planning.traffic, planning.task, planning.own
    last = max(task.max_days, own.days or HORIZON)
    if not traffic.days or last <= traffic.days:
        return
    if traffic.days == 1 and traffic.origin != "reports":
        yield Warned(
            "one_day_log",
            "the log has one day, which does not tell who comes back; every later day is taken to "
            "bring as many new ones",
        )
        return
    if traffic.growth.days == 1:
        # Reports, and units a day as a person states them, grow by the same amount every day.
        return
    yield Warned(
        "extrapolated",
        f"the log has {say_count(traffic.days)}; what comes after is a guess: at its end "
        f"{noun_of(planning)} grow like days^{traffic.growth.units.exponent:.2f} and information "
        f"like days^{traffic.growth.worth.exponent:.2f} (1: every day brings new ones, 0: the same "
        "ones come again)",
    )


def _warn_of_events(planning: Planning) -> Iterator[Warned]:
    task = planning.task
    units = planning.forecast.event_units(task.max_days)
    if units < SMALL_SAMPLE_UNITS:
        yield Warned(
            "few_events",
            f"by max_runtime the smallest variant has about {units:.0f} units with an event; "
            f"results below {SMALL_SAMPLE_UNITS} are flagged as small samples",
        )


def _warn_of_cuped(planning: Planning) -> Iterator[Warned]:
    if planning.experiment.analysis.cuped is not None and planning.traffic.explained is None:
        yield Warned(
            "cuped_unknown",
            "what CUPED explains cannot be told from these logs and is counted as nothing",
        )
