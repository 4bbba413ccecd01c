"""One experiment's plan as a whole: what it rests on, what each plan costs, when it may end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.planning.dates import Calendar, plan_calendar
from abplatform.analysis.planning.day_reports import ReportTraffic, read_report_traffic
from abplatform.analysis.planning.growth import Growth, explained_share, grow
from abplatform.analysis.planning.outlook import Forecast, PlanOutlook, look_at_plans
from abplatform.analysis.planning.past import PastRun, PastTraffic, reach_of, read_past
from abplatform.analysis.planning.stated import Stated, restate
from abplatform.analysis.planning.task import Task, task_of, tested
from abplatform.analysis.scorecard import Run, Warned
from abplatform.analysis.scorecard.lifts import SHARES
from abplatform.analysis.scorecard.looks import final_delay
from abplatform.analysis.scorecard.reports import note_dispersion
from abplatform.domain.experiment import Experiment
from abplatform.errors import AnalysisError
from abplatform.logs.store.answering import Store
from abplatform.stats.sequential.plan import PlanKind
from abplatform.stats.undetermined import Undetermined
from abplatform.traffic.registry.look_days import start_of_day

__all__ = ["Planning", "Traffic", "plan_experiment"]

_DAY = timedelta(days=1)


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

    @property
    def suffices(self) -> bool:
        """Whether max_runtime is long enough for the lift by the plan of the YAML."""
        return self.own.days is not None and self.own.days <= self.task.max_days


def plan_experiment(
    warehouse: Store,
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
    calendar = plan_calendar(experiment, run, zone)
    task = task_of(experiment, days=calendar.days)
    until = start_of_day(run.now - final_delay(experiment), zone)
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
    growth = _grow(experiment.primary.metric, source, stated)
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


def _grow(metric: str, source: PastTraffic | ReportTraffic | None, stated: Stated) -> Growth:
    """Return how units gather, by the log and by what a person states."""
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
    if growth is not None:
        return growth
    raise AnalysisError(
        f"no log tells how many units will come and what their {metric} is{why}",
        remedy="state what you expect: --rate 2% --units-per-day 5000, and if you know them "
        "--per-unit 3 --design-effect 1.5"
        if metric in SHARES
        else "land a log of such units first, with `abp ingest FILE`",
    )


def _explained(experiment: Experiment, past: PastTraffic) -> float | None:
    cuped = experiment.analysis.cuped
    if cuped is None or cuped.window is None:
        return None
    window = max(1, round(cuped.window / _DAY))
    return explained_share(past.unit_days, days=past.days, window=window)


def _share(experiment: Experiment, weight: float) -> float:
    return weight / sum(experiment.weights.values())


def _least_weight(experiment: Experiment) -> float:
    """Return the weight of the treatment that gets the fewest units: it is found last."""
    return min(one.weight for one in tested(experiment))


def _ramp_steps(experiment: Experiment) -> tuple[tuple[float, float], ...]:
    """Return on which day each step of the ramp adds which share of the final traffic."""
    final, day, before = experiment.ramp[-1].traffic, 0.0, 0.0
    steps = []
    for step in experiment.ramp:
        steps.append((day, (step.traffic - before) / final))
        day, before = day + (step.hold or timedelta(0)) / _DAY, step.traffic
    return tuple(steps)
