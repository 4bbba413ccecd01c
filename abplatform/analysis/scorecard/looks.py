"""When a plan may look: its calendar, and whose days' rows are final."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.record import Look
from abplatform.analysis.scorecard.scope import conversion_delay
from abplatform.analysis.scorecard.taken import TakenLook
from abplatform.domain.experiment import Analysis, Experiment, Phase
from abplatform.domain.metrics import METRICS
from abplatform.logs.facts import Rates
from abplatform.traffic.registry import RegisteredExperiment
from abplatform.traffic.registry.look_days import LookDay, last_moment, look_days, start_of_day
from abplatform.traffic.registry.look_plan import extend
from abplatform.traffic.registry.lookbook import RecordedLook
from abplatform.workspace import CalendarStretch

__all__ = [
    "Agenda",
    "Question",
    "Run",
    "decision_moment",
    "final_delay",
    "find_fixed_look",
    "find_look",
    "make_agenda",
    "slowest_conversion",
]


@dataclass(frozen=True, slots=True)
class Run:
    """How an experiment ran.

    Args:
        now: The workspace's clock.
        started_at: From when on units are compared; None if it never started or was assigned
            elsewhere.
        exposed_since: When it started, before it was re-weighted.
        ended_at: When it was stopped; None while it runs.
        phases: The phases whose units are compared, from the journal.
        plan: What the start fixed of the plan; empty where nothing was kept.
        looks: The looks taken so far, from the journal.
        calendar: Days unlike others as abp.yaml says now.
        calendar_at_start: As it said at the start; None where that was not kept.
        excluded_sources: Sources that a person has excluded since it started.
        srm_acknowledged: When people acknowledged alarms of the sample ratio check.
        refused: Why a person said not to use it; None if nobody did.
        rates: What money is worth in it, fixed at its start; None where nothing is fixed.
        rates_now: What money is worth by abp.yaml now.
        silent_sources: Source to the sentence that says since when nothing has come of it.
    """

    now: datetime
    started_at: datetime | None = None
    exposed_since: datetime | None = None
    ended_at: datetime | None = None
    phases: tuple[Phase, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    looks: tuple[RecordedLook, ...] = ()
    calendar: tuple[CalendarStretch, ...] = ()
    calendar_at_start: tuple[CalendarStretch, ...] | None = None
    excluded_sources: tuple[str, ...] = ()
    srm_acknowledged: tuple[datetime, ...] = ()
    refused: str | None = None
    rates: Rates | None = None
    rates_now: Rates | None = None
    silent_sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, registered: RegisteredExperiment, *, now: datetime) -> Run:
        """Return how a registered experiment ran, as the journal knows it."""
        return cls(
            now=now,
            started_at=registered.compared_since or registered.started_at,
            exposed_since=registered.started_at,
            ended_at=registered.ended_at,
            phases=registered.compared_phases,
            plan=registered.plan,
            looks=registered.looks,
            calendar=registered.calendar,
            calendar_at_start=registered.calendar_at_start,
            excluded_sources=registered.remedies.excluded_sources,
            srm_acknowledged=registered.remedies.acknowledged,
            refused=registered.remedies.refused,
            rates=registered.rates,
            rates_now=registered.rates_now,
        )

    @property
    def earlier_weights(self) -> tuple[datetime, datetime]:
        """From when until when variants had other weights; equal moments where never."""
        since = self.started_at or self.now
        return self.exposed_since or since, since


@dataclass(frozen=True, slots=True)
class Question:
    """What a reader wants to know.

    Args:
        as_of: Event time up to which events count; None for all.
        data_version: What was known then; None for now.
        final: Whether provisional rows are left out.
    """

    as_of: datetime | None = None
    data_version: str | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Agenda:
    """The looks of a plan.

    Args:
        days: Every planned look; empty where there is nothing to look at yet.
        due: Those that may be taken: their rows are final, and the experiment ran until then.
        first_day: The first workspace day; None where there is nothing to look at yet.
        stopped_at: When a stop that was not planned ended the looks, or None.
        external: Whether the log's end is the last look.
    """

    days: tuple[LookDay, ...] = ()
    due: tuple[LookDay, ...] = ()
    first_day: date | None = None
    stopped_at: datetime | None = None
    external: bool = False

    @property
    def last(self) -> LookDay | None:
        """The last planned look."""
        return self.days[-1] if self.days else None


def final_delay(experiment: Experiment) -> timedelta:
    """Return how long after an impression its last event may still arrive."""
    windows = experiment.events
    return windows.attribution_window + windows.late_data + slowest_conversion(experiment)


def slowest_conversion(experiment: Experiment) -> timedelta:
    """Return how much longer than a click the last event of any listed metric may take."""
    names = [experiment.primary.metric, *(guard.metric for guard in experiment.guardrails)]
    return max(conversion_delay(experiment, METRICS[name]) for name in names)


def decision_moment(experiment: Experiment, run: Run, zone: ZoneInfo) -> datetime | None:
    """Return when the plan decides at the latest; None where the log's end does, and for a draft.

    Days of ``max_runtime`` are the workspace's: a week is a week also where clocks change. A run
    that meets a day of the calendar it started with lasts whole weeks.

    Args:
        experiment: Says the plan.
        run: How it ran.
        zone: Where a workspace day ends.
    """
    if experiment.assignment == "external" or run.started_at is None:
        return None
    return last_moment(_extended(experiment, run, run.started_at, zone), run.started_at, zone)


def make_agenda(
    experiment: Experiment,
    run: Run,
    *,
    known_until: datetime | None,
    log: tuple[datetime | None, datetime | None] = (None, None),
    zone: ZoneInfo,
) -> Agenda:
    """Return the plan's looks and those that may be taken.

    Args:
        experiment: Says the plan.
        run: How it ran.
        known_until: The least watermark of its sources, lowered by ``as_of``; None without rows.
        log: The first moment, and the end, of the log of an experiment that was assigned elsewhere.
        zone: Where a workspace day ends.
    """
    if experiment.assignment == "external":
        return _agenda_of_log(experiment.analysis, *log, zone=zone)
    if run.started_at is None:
        return Agenda()
    analysis = _extended(experiment, run, run.started_at, zone)
    days = look_days(analysis, run.started_at, zone)
    # Where clocks change, whoever counted hours has stopped it an hour off; that was planned, too.
    planned = min(days[-1].at, run.started_at + analysis.max_runtime)
    stopped = run.ended_at if run.ended_at is not None and run.ended_at < planned else None
    delay = final_delay(experiment)
    due = (
        day
        for day in days
        if known_until is not None
        and day.at + delay <= known_until
        and (stopped is None or day.at <= stopped)
    )
    return Agenda(days, tuple(due), run.started_at.astimezone(zone).date(), stopped)


def find_look(experiment: Experiment, agenda: Agenda, taken: Iterable[TakenLook]) -> Look:
    """Say where the plan stands: what decided it, or what is waited for.

    Args:
        experiment: Says the plan.
        agenda: Its looks.
        taken: The looks taken so far.
    """
    decided = {look.treatment: look for look in taken if look.decides}
    last = agenda.last
    if agenda.external:
        at = last.at if last else None
        return Look(reached=True, at=at, sentence="the log's last day is the decision look")
    if last is None:
        return Look(reached=False, sentence="it has not been started", standing="draft")
    if len(decided) == len(experiment.treatments):
        return _decided(experiment, agenda, list(decided.values()))
    if agenda.stopped_at is not None:
        return Look(
            reached=False,
            at=last.at,
            sentence=f"it was stopped on {_day(agenda.stopped_at)}, before its decision look on "
            f"{_day(last.at)}; a stop that was not planned decides nothing",
            standing="stopped",
        )
    return Look(reached=False, at=last.at, sentence=_waiting(experiment, agenda))


def find_fixed_look(
    experiment: Experiment, run: Run, *, known_until: datetime | None, zone: ZoneInfo
) -> Look:
    """Say whether the one look has come at which reports are tested, whatever the YAML's test.

    Args:
        experiment: Says how long it runs.
        run: How it ran.
        known_until: Up to when reports are known; None without any.
        zone: Where a workspace day ends.
    """
    once = replace(experiment, analysis=replace(experiment.analysis, test="fixed"))
    agenda = make_agenda(once, run, known_until=known_until, zone=zone)
    if agenda.due and not agenda.external:
        ready = _day(agenda.due[-1].at + final_delay(experiment))
        return Look(
            reached=True, at=agenda.due[-1].at, sentence=f"decided on what was final on {ready}"
        )
    return find_look(once, agenda, ())


def _extended(experiment: Experiment, run: Run, started_at: datetime, zone: ZoneInfo) -> Analysis:
    return extend(experiment.analysis, started_at, run.calendar_at_start or (), zone)


def _agenda_of_log(
    analysis: Analysis, first: datetime | None, last: datetime | None, *, zone: ZoneInfo
) -> Agenda:
    """All days of a log are due at once; the last one is the last look, however short the log."""
    if first is None or last is None:
        return Agenda(external=True)
    days = look_days(analysis, start_of_day(first, zone), zone, until=last)
    return Agenda(days, days, first.astimezone(zone).date(), external=True)


def _decided(experiment: Experiment, agenda: Agenda, decided: Sequence[TakenLook]) -> Look:
    latest = max(decided, key=lambda look: look.at)
    ready = latest.at + final_delay(experiment)
    sentence = f"decided on what was final on {_day(ready)}"
    if len(agenda.days) > 1:
        sentence = f"decided at look {latest.row.look} of {len(agenda.days)}, on {_day(latest.at)}"
    return Look(reached=True, at=latest.at, sentence=sentence)


def _waiting(experiment: Experiment, agenda: Agenda) -> str:
    delay, last = final_delay(experiment), agenda.days[-1]
    if len(agenda.days) == 1:
        return (
            f"its decision look is on {_day(last.at)}, and that day's clicks are final on "
            f"{_day(last.at + delay)}"
        )
    taken, total = len(agenda.due), len(agenda.days)
    following = agenda.days[min(taken, total - 1)]
    told = f"{taken} of {total} looks have decided nothing; the next is"
    return (
        f"{told if taken else f'its first of {total} looks is'} on {_day(following.at)}, and that "
        f"day's clicks are final on {_day(following.at + delay)}; the last is on {_day(last.at)}"
    )


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
