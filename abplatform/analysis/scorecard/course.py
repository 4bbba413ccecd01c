"""The course of an experiment's looks, from its calendar to what they decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.comparisons import compare_all
from abplatform.analysis.scorecard.families import decide_families
from abplatform.analysis.scorecard.histories import History
from abplatform.analysis.scorecard.lifts import Compared
from abplatform.analysis.scorecard.looks import Agenda, Question, Run, find_look, make_agenda
from abplatform.analysis.scorecard.outcomes import in_order, settle
from abplatform.analysis.scorecard.plans import (
    LooksOf,
    plan_of,
    recorded_looks,
    take_due_looks,
)
from abplatform.analysis.scorecard.record import Look, TakenLook
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.sight import Ground
from abplatform.analysis.scorecard.survey import Survey
from abplatform.logs.store.answering import Store
from abplatform.stats.sequential import Plan
from abplatform.traffic.registry.look_days import end_of_day

__all__ = ["Course", "follow_plan"]


@dataclass(frozen=True, slots=True)
class Course:
    """Where the plan stands.

    Args:
        plan: What a look may decide.
        looks: Treatment to its looks, those that decide with their outcome.
        state: What decided, or what is waited for.
    """

    plan: Plan
    looks: LooksOf
    state: Look

    @property
    def taken(self) -> tuple[TakenLook, ...]:
        """All looks, in order of time and then of treatments."""
        return in_order(self.looks)


def follow_plan(
    warehouse: Store,
    scope: Scope,
    survey: Survey,
    history: History | None,
    *,
    run: Run,
    question: Question,
    zone: ZoneInfo,
) -> Course:
    """Take the looks that are due, unless they were taken before, and settle what they decide.

    Args:
        warehouse: The open store.
        scope: Which rows count at all.
        survey: Of that scope.
        history: The pre-period totals, where the YAML asks for an adjustment.
        run: How the experiment ran, with the looks that the journal holds.
        question: Whether it is about the past.
        zone: Where a workspace day ends.
    """
    experiment = scope.experiment
    agenda = _agenda(scope, survey, run, zone)
    plan = plan_of(experiment, run, agenda)
    # A request has no past that could explain anything of it.
    known = None if scope.by_event else history
    ground = Ground(warehouse, scope, agenda, plan, known, flagged=survey.flagged)
    past = question.as_of is not None or question.data_version is not None
    taken = take_due_looks(ground, recorded_looks(run, agenda, past=past))
    looks = settle(
        experiment,
        taken,
        lambda at: _judge(ground, at),
        log_end=agenda.last.at if agenda.external and agenda.last else None,
    )
    return Course(plan, looks, find_look(experiment, agenda, in_order(looks)))


def _agenda(scope: Scope, survey: Survey, run: Run, zone: ZoneInfo) -> Agenda:
    last = survey.last_at
    # A log ends with the last day in it, or at the moment asked for within that day.
    end = min(end_of_day(last, zone), scope.until) if last else None
    return make_agenda(
        scope.experiment,
        run,
        known_until=survey.known_until,
        log=(survey.first_at, end),
        zone=zone,
    )


def _judge(ground: Ground, at: datetime) -> list[Compared]:
    """Return what the final rows up to a decision look say, families adjusted."""
    scope = replace(ground.scope, final=True, until=min(ground.scope.until, at))
    compared = compare_all(ground.warehouse, scope, ground.history, bots=False)
    return decide_families(scope.experiment, compared)
