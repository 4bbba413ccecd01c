"""Days that are unlike others: which of them a run meets, and how much longer it lasts for them.

The calendar that abp.yaml holds when an experiment starts is written into the journal's start row;
it alone moves the end of the run. What is added later is shown, and marked as added later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.workspace import CalendarStretch

__all__ = ["calendar_facts", "extend_for_calendar", "read_calendar", "special_days"]

_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)


def special_days(
    calendar: Sequence[CalendarStretch], first: date, last: date
) -> dict[date, tuple[str, ...]]:
    """Return which days of the calendar lie in ``first`` … ``last``, with their names."""
    found: dict[date, tuple[str, ...]] = {}
    for stretch in calendar:
        day = max(stretch.first, first)
        while day <= min(stretch.last, last):
            found[day] = (*found.get(day, ()), stretch.name)
            day += _DAY
    return dict(sorted(found.items()))


def extend_for_calendar(
    started_at: datetime,
    max_runtime: timedelta,
    calendar: Sequence[CalendarStretch],
    zone: ZoneInfo,
) -> timedelta:
    """Return how long a run lasts: whole weeks when it meets a day of the calendar.

    A sale's day counts as one of seven weekdays then, and does not weigh more than that by chance.

    Args:
        started_at: From when on units are assigned.
        max_runtime: What the YAML plans.
        calendar: As abp.yaml had it at the start.
        zone: Where a workspace day ends.
    """
    start = started_at.astimezone(zone)
    last = (start + max_runtime - timedelta.resolution).date()
    if not special_days(calendar, start.date(), last):
        return max_runtime
    return _WEEK * math.ceil(max_runtime / _WEEK)


def calendar_facts(calendar: Iterable[CalendarStretch]) -> list[dict[str, str]]:
    """Return the calendar as the JSON data that the journal keeps."""
    return [
        {"from": one.first.isoformat(), "to": one.last.isoformat(), "name": one.name}
        for one in calendar
    ]


def read_calendar(facts: Iterable[Mapping[str, Any]]) -> tuple[CalendarStretch, ...]:
    """Return the calendar that the journal keeps."""
    return tuple(
        CalendarStretch(date.fromisoformat(one["from"]), date.fromisoformat(one["to"]), one["name"])
        for one in facts
    )
