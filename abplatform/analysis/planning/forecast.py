"""One experiment's plan as a whole: what it rests on, what each plan costs, when it may end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.planning.day_reports import ReportTraffic, read_report_traffic
from abplatform.analysis.planning.growth import Growth, explained_share, grow
from abplatform.analysis.planning.outlook import Forecast, PlanOutlook, Task, look_at_plans
from abplatform.analysis.planning.past import PastRun, PastTraffic, reach_of, read_past
from abplatform.analysis.planning.stated import Stated, restate
from abplatform.analysis.scorecard import Run, Warned, decision_moment
from abplatform.analysis.scorecard.lifts import SHARES
from abplatform.analysis.scorecard.looks import final_delay
from abplatform.analysis.scorecard.reports import note_dispersion
from abplatform.domain.experiment import Experiment, Variant
from abplatform.errors import AnalysisError
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.dunnett import joint_critical_value
from abplatform.stats.sequential.plan import DEFAULT_MDE, PlanKind
from abplatform.stats.undetermined import Undetermined

__all__ = ["Calendar", "Planning", "Traffic", "plan_experiment", "task_of"]

_DAY = timedelta(days=1)
_CLOCK_CHANGE = 2 / 24
"""A run on which clocks change is this much longer than its days, and lasts no day more."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the forecast rests on.

    Args:
        told: The log in words.
        origin: ``own``, ``experiment``, ``impressions``, ``reports`` or ``assumed``.
        days: Days that the log covers; 0 where everything is stated.
        first_day: The log's first day, or None.
        units: Units that it holds; 0 where everything is stated.
        growth: How they gathered.
        explained: ρ² of CUPED; None where it is not asked for or cannot be told.
        reach: Share of the whole traffic that the experiment takes, 0 … 1.
        notes: What to beware of in the log.
    """

    told: str
    origin: str
    days: int
    first_day: date | None
    units: int
    growth: Growth
    explained: float | None
    reach: float
    notes: tuple[Warned, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        facts = self.growth.facts
        return {
            "source": self.origin,
            "told": self.told,
            "days": self.days,
            "first_day": self.first_day.isoformat() if self.first_day else None,
            "units": self.units,
            "rate": facts.rate,
            "per_unit": facts.per_unit,
            "design_effect": facts.design_effect,
            "unit_variance": facts.unit_variance,
            "cuped_explained": self.explained,
            "growth_exponent": self.growth.units.exponent,
            "information_exponent": self.growth.worth.exponent,
            "reach": self.reach,
        }


@dataclass(frozen=True, slots=True)
class Calendar:
    """When the experiment may end.

    Args:
        starts_at: When it started, or would.
        decides_at: The last look.
        earliest_verdict: The first moment at which a verdict can be final.
        latest_verdict: From then on it is in any case.
        waiting: How long rows of the last day may still change: windows and late data.
    """

    starts_at: datetime
    decides_at: datetime
    earliest_verdict: datetime
    latest_verdict: datetime
    waiting: timedelta

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "starts_at": self.starts_at.isoformat(),
            "decides_at": self.decides_at.isoformat(),
            "earliest_verdict": self.earliest_verdict.isoformat(),
            "latest_verdict": self.latest_verdict.isoformat(),
            "waiting_hours": self.waiting / timedelta(hours=1),
        }


@dataclass(frozen=True, slots=True)
class Planning:
    """Everything that ``abp power`` says, but for its warnings.

    Args:
        experiment: What is planned, with the lift and the runtime asked for.
        task: What is to be found.
        traffic: What the forecast rests on.
        forecast: How units and information gather.
        plans: Fixed, sequential, anytime.
        calendar: When it may end.
    """

    experiment: Experiment
    task: Task
    traffic: Traffic
    forecast: Forecast
    plans: tuple[PlanOutlook, ...]
    calendar: Calendar

    @property
    def own(self) -> PlanOutlook:
        """The outlook of the plan that the YAML names."""
        wanted = PlanKind(self.experiment.analysis.test)
        return next(plan for plan in self.plans if plan.plan is wanted)


def plan_experiment(
    warehouse: Warehouse,
    experiment: Experiment,
    runs: Mapping[str, PastRun],
    *,
    run: Run,
    zone: ZoneInfo,
    stated: Stated | None = None,
    holdout: float = 0.0,
) -> Planning:
    """Say what an experiment can find and how long it takes.

    Args:
        warehouse: The open store.
        experiment: As its YAML says, with the lift and the runtime to be planned for.
        runs: Every experiment that may have rows, by key.
        run: How it ran, if it did.
        zone: Where a workspace day ends.
        stated: Numbers that a person states.
        holdout: Share of units that no experiment touches.

    Raises:
        AnalysisError: Neither logs nor a person say how units come and click.
    """
    calendar = _plan_calendar(experiment, run, zone)
    days = math.ceil((calendar.decides_at - calendar.starts_at) / _DAY - _CLOCK_CHANGE)
    task = task_of(experiment, days=max(1, days))
    until = _midnight(run.now - final_delay(experiment), zone)
    past = read_past(warehouse, experiment, runs, until=until, holdout=holdout)
    reach = reach_of(runs.get(experiment.key, PastRun(experiment)), holdout=holdout)
    stated = stated or Stated()
    reports = read_report_traffic(warehouse, experiment, zone) if past is None else None
    traffic = _gather(experiment, past or reports, stated, reach=reach)
    evenly = stated.units_per_day is not None
    forecast = Forecast(
        growth=traffic.growth,
        # A person states the units that this experiment gets; a log saw its own share of all.
        scale=1.0 if evenly or past is None else reach / past.share,
        control_share=_share(experiment, experiment.control.weight),
        treatment_share=_share(experiment, _least_weight(experiment)),
        explained=traffic.explained or 0.0,
        steps=((0.0, 1.0),) if run.phases else _ramp_steps(experiment),
    )
    return Planning(experiment, task, traffic, forecast, look_at_plans(task, forecast), calendar)


def _gather(
    experiment: Experiment,
    source: PastTraffic | ReportTraffic | None,
    stated: Stated,
    *,
    reach: float,
) -> Traffic:
    metric = experiment.primary.metric
    if stated.anything and metric not in SHARES:
        raise AnalysisError(
            f"the variance of {metric} does not follow from a rate",
            remedy="leave --rate and the like out and plan from a log",
        )
    seen: Growth | Undetermined | None
    if isinstance(source, PastTraffic):
        seen = grow(source.unit_days, days=source.days)
    else:
        seen = source.growth if source else None
    why = f" ({seen.reason})" if isinstance(seen, Undetermined) else ""
    growth = restate(None if isinstance(seen, Undetermined) else seen, stated)
    if growth is None:
        raise AnalysisError(
            f"no log tells how many units will come and what their {metric} is{why}",
            remedy="state what you expect: --rate 2% --units-per-day 5000, and if you know them "
            "--per-unit 3 --design-effect 1.5"
            if metric in SHARES
            else "land a log of such units first, with `abp ingest FILE`",
        )
    if source is None:
        return Traffic("what you state", "assumed", 0, None, 0, growth, None, reach)
    also = ", with what you state" if stated.anything else ""
    if isinstance(source, ReportTraffic):
        return Traffic(
            told=f"its own reports of days{also}",
            origin="reports",
            days=source.days,
            first_day=source.first_day,
            units=source.impressions,
            growth=growth,
            explained=None,
            reach=reach,
            notes=(note_dispersion(source.dispersion),),
        )
    return Traffic(
        told=f"{source.told}{also}",
        origin=source.origin,
        days=source.days,
        first_day=source.first_day,
        units=source.units,
        growth=growth,
        explained=_explained(experiment, source),
        reach=reach,
    )


def _explained(experiment: Experiment, past: PastTraffic) -> float | None:
    cuped = experiment.analysis.cuped
    if cuped is None or cuped.window is None:
        return None
    window = max(1, round(cuped.window / _DAY))
    return explained_share(past.unit_days, days=past.days, window=window)


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
    shared = [math.sqrt(one.weight / (one.weight + control)) for one in _tested(experiment)]
    return Task(
        lift=size if primary.direction == "increase" else -size,
        alpha=analysis.alpha,
        treatments=len(experiment.treatments),
        critical=joint_critical_value(shared, alpha=analysis.alpha),
        min_days=min(max(1, math.ceil(analysis.min_runtime / _DAY)), days),
        max_days=days,
        mde=primary.mde,
    )


def _tested(experiment: Experiment) -> list[Variant]:
    """Return the treatments that get units at all."""
    found = [one for one in experiment.treatments if one.weight > 0]
    if not found or experiment.control.weight <= 0:
        raise AnalysisError(
            f"{experiment.key} gives units to one variant only; nothing can be compared",
            remedy="give the control and a treatment a weight above 0",
        )
    return found


def _share(experiment: Experiment, weight: float) -> float:
    return weight / sum(experiment.weights.values())


def _least_weight(experiment: Experiment) -> float:
    """Return the weight of the treatment that gets the fewest units: it is found last."""
    return min(one.weight for one in _tested(experiment))


def _ramp_steps(experiment: Experiment) -> tuple[tuple[float, float], ...]:
    """Return on which day each step of the ramp adds which share of the final traffic."""
    final, day, before = experiment.ramp[-1].traffic, 0.0, 0.0
    steps = []
    for step in experiment.ramp:
        steps.append((day, (step.traffic - before) / final))
        day, before = day + (step.hold or timedelta(0)) / _DAY, step.traffic
    return tuple(steps)


def _plan_calendar(experiment: Experiment, run: Run, zone: ZoneInfo) -> Calendar:
    """Return when it ends; a draft starts with the next workspace day, and meets the calendar."""
    starts = run.started_at or _midnight(run.now + _DAY, zone)
    if run.started_at is None:
        run = replace(run, started_at=starts, calendar_at_start=run.calendar)
    decides = decision_moment(experiment, run, zone) or starts + experiment.analysis.max_runtime
    waiting = final_delay(experiment)
    first = decides
    if experiment.analysis.test != "fixed":
        first = min(decides, starts + experiment.analysis.min_runtime)
    return Calendar(starts, decides, first + waiting, decides + waiting, waiting)


def _midnight(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return when the moment's workspace day began, in UTC."""
    local = moment.astimezone(zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
