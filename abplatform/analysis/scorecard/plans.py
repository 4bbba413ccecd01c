"""The plan's looks at the primary metric: what each found, day by day.

A look rests on final rows up to the end of its day, with the flags that units had by then, so that
it says the same whenever it is taken. Looks that the journal holds are facts and come back as they
were; the others are taken here, from the store, and whoever runs an analysis plainly keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from abplatform.analysis.scorecard.families import judge_contrasts
from abplatform.analysis.scorecard.harm import find_harm
from abplatform.analysis.scorecard.looks import Agenda, Run
from abplatform.analysis.scorecard.sight import Ground, Sight, see
from abplatform.analysis.scorecard.taken import EstimateAtDecision, TakenLook
from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import METRICS
from abplatform.stats.anytime import monitor
from abplatform.stats.ratio import RatioContrast, Undetermined
from abplatform.stats.sequential import (
    LookRow,
    LookSeries,
    Plan,
    PlanKind,
    estimate_at_decision,
    repeated_interval,
    sequential_p,
    take_looks,
)
from abplatform.traffic.registry.look_days import LookDay
from abplatform.traffic.registry.look_plan import make_plan, read_plan

__all__ = ["LooksOf", "plan_of", "recorded_looks", "take_due_looks"]

Value = TypeVar("Value")

LooksOf = Mapping[str, Sequence[TakenLook]]
"""Treatment to its looks, in order."""


def plan_of(experiment: Experiment, run: Run, agenda: Agenda) -> Plan:
    """Return the plan that the start fixed, or, where nobody wrote it down, the same again.

    Args:
        experiment: As its YAML says.
        run: How it ran.
        agenda: Its looks; without any the plan only says what sequences are tuned to.
    """
    if run.plan:
        return read_plan(run.plan)
    if agenda.first_day is None:
        today = run.now.date()
        return make_plan(experiment, [LookDay(1, today, run.now)], today)
    return make_plan(experiment, agenda.days, agenda.first_day)


def recorded_looks(run: Run, agenda: Agenda, *, past: bool) -> dict[str, list[TakenLook]]:
    """Return the looks that the journal holds.

    Args:
        run: Brings them.
        agenda: Says which were due.
        past: Whether the question is about the past, which knows only those that were due then.
    """
    due = {day.at for day in agenda.due}
    found: dict[str, list[TakenLook]] = {}
    for look in run.looks:
        if past and look.at not in due:
            continue
        for treatment, data in look.treatments.items():
            taken = TakenLook.from_journal(data, treatment=treatment, day=look.day, at=look.at)
            found.setdefault(treatment, []).append(taken)
    return found


def take_due_looks(ground: Ground, known: LooksOf) -> dict[str, list[TakenLook]]:
    """Return the looks known and those that are due besides, up to each treatment's decision.

    Args:
        ground: What they rest on.
        known: Looks that were taken before, by treatment.
    """
    treatments = [variant.name for variant in ground.experiment.treatments]
    looks = {name: [*known.get(name, ())] for name in treatments}
    done = max((look.at for taken in looks.values() for look in taken), default=None)
    fresh = [day for day in ground.agenda.due if done is None or day.at > done]
    for sight in see(ground, fresh):
        still_open = [name for name in treatments if not (looks[name] and looks[name][-1].decides)]
        if not still_open:
            break
        for name in still_open:
            looks[name].append(_look(sight, name, looks[name]))
    return looks


def _look(sight: Sight, treatment: str, before: Sequence[TakenLook]) -> TakenLook:
    plan, series = sight.ground.plan, sight.series(treatment)
    if plan.kind is PlanKind.FIXED and len(sight.ground.experiment.treatments) > 1:
        plan = _share_control(plan, sight)
    rows = take_looks(plan, series, [look.row for look in before])
    point = series.points[-1]
    interval = p = None
    if plan.kind is PlanKind.SEQUENTIAL:
        interval = _known(repeated_interval(point.contrast, rows[-1].boundary))
        p = _least(_known(sequential_p(plan, rows, series)), before)
    sequence = _known(
        monitor(point.contrast, event_units=point.event_units, alpha=plan.alpha, tau2=plan.tau2)
    )
    harmed = dict(before[-1].harmed) if before else {}
    harmed |= find_harm(sight.ground.experiment, sight.guardrails, treatment)
    decides = rows[-1].crossed or rows[-1].last
    return TakenLook(
        treatment=treatment,
        day=sight.day.day,
        at=sight.day.at,
        row=rows[-1],
        sequential_low=interval.low if interval else None,
        sequential_high=interval.high if interval else None,
        sequential_p=p,
        anytime_low=sequence.relative.low if sequence else None,
        anytime_high=sequence.relative.high if sequence else None,
        harmed=harmed,
        estimate=_estimate(sight, treatment, plan, rows, series) if decides else None,
    )


def _least(p: float | None, before: Sequence[TakenLook]) -> float | None:
    """Return the p-value, which never rises, though later rows move the correlation a little."""
    told = [p, before[-1].sequential_p if before else None]
    return min((one for one in told if one is not None), default=None)


def _estimate(
    sight: Sight, treatment: str, plan: Plan, rows: Sequence[LookRow], series: LookSeries
) -> EstimateAtDecision:
    contrast, found = series.points[-1].contrast, estimate_at_decision(plan, rows, series)
    fixed = _known(contrast.relative) if isinstance(contrast, RatioContrast) else None
    corrected = _known(found)
    return EstimateAtDecision(
        treatment=treatment,
        look=rows[-1].look,
        day=sight.day.day,
        relative_lift=rows[-1].relative_lift,
        ci_low=fixed.low if fixed else None,
        ci_high=fixed.high if fixed else None,
        median_unbiased=corrected.median_unbiased if corrected else None,
        low=corrected.low if corrected else None,
        high=corrected.high if corrected else None,
        method="stage-wise ordering of looks",
        undetermined=found.reason if isinstance(found, Undetermined) else None,
    )


def _share_control(plan: Plan, sight: Sight) -> Plan:
    """Return the fixed plan at the level that several treatments leave each other (Dunnett)."""
    experiment = sight.ground.experiment
    contrasts = [
        sight.series(variant.name).points[-1].contrast for variant in experiment.treatments
    ]
    joint = judge_contrasts(METRICS[experiment.primary.metric], contrasts, alpha=plan.alpha)
    return plan if isinstance(joint, Undetermined) else replace(plan, alpha=joint.alpha)


def _known(value: Value | Undetermined) -> Value | None:
    return None if isinstance(value, Undetermined) else value
