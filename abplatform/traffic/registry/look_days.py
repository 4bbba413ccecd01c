"""The days at whose ends a plan looks: its calendar, before any number is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from abplatform.domain.experiment import Analysis

__all__ = ["LookDay", "end_of_day", "last_moment", "look_days", "start_of_day"]


@dataclass(frozen=True, slots=True)
class LookDay:
    """One planned look.

    Args:
        look: Counted from 1.
        day: The last workspace day whose rows it counts.
        at: The end of that day, in UTC; of the last look it may lie within the day.
    """

    look: int
    day: date
    at: datetime


def last_moment(analysis: Analysis, started_at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the last look is, ``max_runtime`` after the start, in UTC.

    Whole days are the workspace's: a week is a week also where clocks change.

    Args:
        analysis: Says ``max_runtime``.
        started_at: From when on units are assigned.
        zone: Where a workspace day ends.
    """
    return _later(started_at, analysis.max_runtime, zone)


def look_days(
    analysis: Analysis, started_at: datetime, zone: ZoneInfo, *, until: datetime | None = None
) -> tuple[LookDay, ...]:
    """Return the planned looks, the last of which is at the end of the run.

    A fixed test looks once. Any other looks at the end of every workspace day from ``min_runtime``
    after the start on; the last look is at the end of the run also when that is within a day.

    Args:
        analysis: Says the test and its runtimes.
        started_at: From when on units are assigned.
        zone: Where a workspace day ends.
        until: The end of the run; default ``max_runtime`` after the start. What lies behind
            ``max_runtime`` is looked at once, at the end.
    """
    longest = last_moment(analysis, started_at, zone)
    last = until or longest
    first = _later(started_at, analysis.min_runtime, zone)
    midnights = () if analysis.test == "fixed" else _midnights(first, longest, zone)
    moments = [at for at in midnights if at < last]
    return tuple(
        LookDay(look, (at - timedelta.resolution).astimezone(zone).date(), at)
        for look, at in enumerate([*moments, last], start=1)
    )


def _midnights(first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the ends of workspace days from ``first`` to ``last``, both included."""
    day = first.astimezone(zone).date()
    while (at := _start_of(day, zone)) <= last:
        if at >= first:
            yield at
        day += timedelta(days=1)


def end_of_day(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the end of the workspace day in which a moment lies, in UTC."""
    return _start_of(moment.astimezone(zone).date() + timedelta(days=1), zone)


def start_of_day(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the start of the workspace day in which a moment lies, in UTC."""
    return _start_of(moment.astimezone(zone).date(), zone)


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def _later(moment: datetime, runtime: timedelta, zone: ZoneInfo) -> datetime:
    """Add whole days by the wall's clock, and what is left of them by the stopwatch."""
    days = timedelta(days=runtime.days)
    return (moment.astimezone(zone) + days).astimezone(UTC) + (runtime - days)
