"""Days that are unlike others: the lift with and without them, and runs that are no whole weeks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.lifts import event_of
from abplatform.analysis.scorecard.looks import Run, decision_moment
from abplatform.analysis.scorecard.moments import read_calendar_moments
from abplatform.analysis.scorecard.notes import note_changed_after
from abplatform.analysis.scorecard.record import Warned
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.side_rows import fill_row, sums_at
from abplatform.analysis.scorecard.special_views import CalendarRow, CalendarView, SpecialDay
from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import METRICS, Metric
from abplatform.figures import percent
from abplatform.logs.store.answering import Store
from abplatform.stats.joint import joint_lifts, wald_heterogeneity
from abplatform.stats.moments import UnitMoments
from abplatform.stats.ratio import Undetermined
from abplatform.traffic.registry.special_days import special_days

__all__ = ["find_special_days", "note_calendar", "note_part_week", "view_calendar"]

_NAMED = 3
"""How many special days a warning names."""

_WEEK = timedelta(days=7)
_CLOCK_CHANGE = timedelta(hours=2)


def find_special_days(
    run: Run, *, first: datetime | None, last: datetime | None, zone: ZoneInfo
) -> tuple[SpecialDay, ...]:
    """Return the days of the calendar between the first and the last exposure that count.

    Args:
        run: Knows the calendar of now and that of the start.
        first: First exposure.
        last: Last exposure.
        zone: Where a workspace day ends.
    """
    if first is None or last is None:
        return ()
    ends = first.astimezone(zone).date(), last.astimezone(zone).date()
    at_start = run.calendar if run.calendar_at_start is None else run.calendar_at_start
    known = special_days(at_start, *ends)
    now = special_days(run.calendar, *ends)
    return tuple(
        SpecialDay(day, tuple(dict.fromkeys(known.get(day, ()) + now.get(day, ()))), day in known)
        for day in sorted(known.keys() | now.keys())
    )


def view_calendar(
    warehouse: Store, scope: Scope, days: tuple[SpecialDay, ...]
) -> CalendarView | None:
    """Compare the primary metric on the special days and on all others.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        days: From :func:`find_special_days`; without any there is no view.
    """
    if not days:
        return None
    experiment = scope.experiment
    metric = METRICS[experiment.primary.metric]
    moments = read_calendar_moments(warehouse, scope, metric, [one.day for one in days])
    rows = [
        row
        for variant in experiment.treatments
        for row in _rows(experiment, metric, moments, variant.name)
    ]
    return CalendarView(days, tuple(rows))


def note_calendar(view: CalendarView | None, run: Run) -> list[Warned]:
    """Say which special days the experiment ran in, and whether they were named only later."""
    if view is None:
        return []
    names = list(dict.fromkeys(name for one in view.days for name in one.names))
    named = ", ".join(names[:_NAMED]) + (" and others" if len(names) > _NAMED else "")
    days = f"{len(view.days)} {'day' if len(view.days) == 1 else 'days'}"
    told = "; ".join(_compare_kinds(view)) or (
        "reports give no unit rows, so the lift without them is not shown"
    )
    verb = "is" if len(view.days) == 1 else "are"
    text = f"{days} of the run {verb} unlike others ({named}); {told}"
    later = [one for one in view.days if not one.known_at_start]
    gone = run.calendar_at_start is not None and set(run.calendar_at_start) - set(run.calendar)
    changes = [f"{later[0].day} was named {later[0].names[0]!r} in abp.yaml"] if later else []
    changes += ["a day of the calendar was deleted from abp.yaml"] if gone else []
    return [Warned("calendar_day", text), *note_changed_after(changes)]


def _compare_kinds(view: CalendarView) -> Iterator[str]:
    for without, only in zip(view.rows[::2], view.rows[1::2], strict=True):
        lifts = [
            percent(row.relative_lift) if row.relative_lift is not None else "unknown"
            for row in (without, only)
        ]
        p = "" if only.p_difference is None else f", p of a difference = {only.p_difference:.2g}"
        yield f"lift of {only.treatment}: {lifts[0]} without them, {lifts[1]} on them{p}"


def note_part_week(experiment: Experiment, run: Run, zone: ZoneInfo) -> list[Warned]:
    """Warn of a run that is no whole number of weeks: some weekdays weigh more than others."""
    at = decision_moment(experiment, run, zone)
    if at is None or run.started_at is None:
        return []
    early = run.ended_at is not None and run.ended_at < at
    ends = run.ended_at if run.ended_at is not None and early else at
    length = ends.astimezone(zone).replace(tzinfo=None) - run.started_at.astimezone(zone).replace(
        tzinfo=None
    )
    # Where clocks change, whoever counted hours is an hour off; that is a whole week, too.
    weeks = round(length / _WEEK)
    if weeks and abs(length - weeks * _WEEK) <= _CLOCK_CHANGE:
        return []
    text = (
        f"the run of {length / timedelta(days=1):.3g} days is no whole number of weeks, so some "
        "weekdays count more than others"
    )
    text += "" if early else "; plan max_runtime in weeks"
    return [Warned("part_week", text)]


def _rows(
    experiment: Experiment,
    metric: Metric,
    moments: Mapping[str, UnitMoments],
    treatment: str,
) -> tuple[CalendarRow, CalendarRow]:
    ours, theirs = moments[experiment.control.name], moments[treatment]
    without, only = (
        fill_row(
            row,
            sums_at(ours, place),
            sums_at(theirs, place),
            metric,
            alpha=experiment.analysis.alpha,
        )
        for row, place in (
            (CalendarRow(treatment, "without", 0, 0), "outside"),
            (CalendarRow(treatment, "only", 0, 0), "inside"),
        )
    )
    both = joint_lifts(ours, theirs, event=event_of(metric))
    test = both if isinstance(both, Undetermined) else wald_heterogeneity(both)
    if isinstance(test, Undetermined):
        return without, only
    return without, replace(only, p_difference=test.p_value)
