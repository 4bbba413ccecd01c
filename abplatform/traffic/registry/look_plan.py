"""The plan of an experiment's looks as the start fixes it: when, and with how much information.

The same function of the YAML and the start gives the plan again where nobody wrote it down; what
the journal holds goes before, because it was fixed before the first look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from abplatform.domain.experiment import Analysis, Experiment
from abplatform.domain.metrics import METRICS
from abplatform.traffic.registry.look_days import LookDay, look_days
from abplatform.traffic.registry.lookbook import RecordedLook
from abplatform.traffic.registry.special_days import extend_for_calendar
from abplatform.workspace import CalendarStretch

if TYPE_CHECKING:
    from abplatform.stats.sequential.plan import Plan

__all__ = [
    "day_number",
    "extend",
    "make_plan",
    "plan_at_start",
    "plan_facts",
    "read_plan",
    "unspent_alpha",
]


def extend(
    analysis: Analysis, started_at: datetime, calendar: Sequence[CalendarStretch], zone: ZoneInfo
) -> Analysis:
    """Return the analysis with the runtime that the calendar gives it.

    Args:
        analysis: As the YAML says.
        started_at: From when on units are assigned.
        calendar: As abp.yaml had it at the start.
        zone: Where a workspace day ends.
    """
    longest = extend_for_calendar(started_at, analysis.max_runtime, calendar, zone)
    return replace(analysis, max_runtime=longest)


def plan_at_start(
    experiment: Experiment,
    at: datetime,
    calendar: Sequence[CalendarStretch],
    zone: ZoneInfo,
    *,
    unspent: float = 1.0,
) -> Plan:
    """Return the plan that starting an experiment, or beginning its comparison anew, fixes.

    Args:
        experiment: As its YAML says.
        at: From when on units are compared.
        calendar: As abp.yaml has it now.
        zone: Where a workspace day ends.
        unspent: The share of alpha that earlier looks have left, 0 … 1; see :func:`unspent_alpha`.
    """
    days = look_days(extend(experiment.analysis, at, calendar, zone), at, zone)
    return make_plan(experiment, days, at.astimezone(zone).date(), unspent=unspent)


def unspent_alpha(
    experiment: Experiment, plan: Mapping[str, Any], looks: Sequence[RecordedLook]
) -> float:
    """Return the share of alpha that is left for a comparison that begins anew, 0 … 1.

    What looks have spent stays spent, so that whoever begins anew as often as they like errs no
    more often than alpha says (the union bound). A sequential plan has spent what its last look
    says; a confidence sequence spends without end, so that one that was looked at leaves half; a
    fixed plan spends at its one look.

    Args:
        experiment: As it ran until now.
        plan: What its last beginning fixed, as JSON data.
        looks: Those that were taken since.
    """
    share = experiment.analysis.alpha / len(experiment.treatments)
    if plan["kind"] == "fixed":
        share = experiment.analysis.alpha
    left: float = plan["alpha"] / share
    if not looks:
        return left
    if plan["kind"] == "anytime":
        return left / 2
    rows = [found["row"] for look in looks for found in look.treatments.values()]
    spent = max((row["alpha_spent"] or 0.0 for row in rows), default=0.0)
    return max(0.0, left - spent / share)


def day_number(day: date, first_day: date) -> int:
    """Return how many workspace days a run has seen by the end of one; the first is 1."""
    return (day - first_day).days + 1


def make_plan(
    experiment: Experiment, days: Sequence[LookDay], first_day: date, *, unspent: float = 1.0
) -> Plan:
    """Return the plan of each treatment's contrast with the control.

    Several treatments share alpha: each contrast of a sequential or anytime test has an equal part
    of it. A fixed test corrects for them at its one look instead.

    Args:
        experiment: Names the test, alpha and the smallest lift worth having.
        days: The planned looks.
        first_day: The first workspace day.
        unspent: The share of alpha that is left, 0 … 1.
    """
    # The service reads registries, too, and needs no numbers.
    from abplatform.stats.sequential.plan import anytime_plan, fixed_plan, sequential_plan

    analysis, mde = experiment.analysis, experiment.primary.mde
    if METRICS[experiment.primary.metric].incremental:
        # What a return is known to follows from costs that nobody knows yet: time is the clock.
        mde = None
    numbers = [day_number(day.day, first_day) for day in days]
    alpha = analysis.alpha * unspent
    share = alpha / len(experiment.treatments)
    if analysis.test == "sequential":
        return sequential_plan(alpha=share, days=numbers, mde=mde)
    if analysis.test == "anytime":
        return anytime_plan(alpha=share, days=numbers, mde=mde)
    return fixed_plan(alpha=alpha, day=numbers[-1], mde=mde)


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return a plan as the JSON data that the journal keeps."""
    return {
        "kind": plan.kind.value,
        "alpha": plan.alpha,
        "days": list(plan.days),
        "looks": len(plan.days),
        "information_max": plan.information_max,
        "spending": plan.spending.value,
        "tau2": plan.tau2,
    }


def read_plan(facts: Mapping[str, Any]) -> Plan:
    """Return the plan that the journal keeps."""
    from abplatform.stats.sequential.plan import Plan, PlanKind
    from abplatform.stats.sequential.spending import Spending

    return Plan(
        kind=PlanKind(facts["kind"]),
        alpha=facts["alpha"],
        days=tuple(facts["days"]),
        information_max=facts["information_max"],
        spending=Spending(facts["spending"]),
        tau2=facts["tau2"],
    )
