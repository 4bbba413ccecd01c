"""Which sources are due, and which are silent: pure functions of what was pulled and the time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from abplatform.logs.sources.pulls import History, read_histories
from abplatform.settings import Source
from abplatform.workspace import Workspace

__all__ = ["is_due", "silence_of", "silent_sources"]

_ORIGIN: Final = datetime(1970, 1, 5)  # noqa: DTZ001 -- a Monday on the wall, wherever that is
_DAY: Final = timedelta(days=1)


def is_due(source: Source, history: History, *, now: datetime, zone: ZoneInfo) -> bool:
    """Whether a source should be looked at.

    It is due once in every period of ``every``, as periods stand on the calendar of its time zone
    (hours, days from midnight, weeks from Monday), until something new has come in that period and
    nothing waits for the next time.

    Args:
        source: As abp.yaml says.
        history: What was pulled.
        now: The workspace clock.
        zone: The workspace's time zone, for a source that names none.
    """
    if not history.arrivals or history.glances[-1].waiting or history.glances[-1].error:
        return True
    local = source.time_zone or zone
    return _period(source, now, local) > _period(source, history.arrivals[-1], local)


def silence_of(source: Source, history: History, *, now: datetime, zone: ZoneInfo) -> str | None:
    """Say since when a source is silent; None while it is on time.

    With ``expect_by``, something new must have come by that time of each day, or of each period of
    several days. What comes late belongs to the missed deadline if it is nearer to it than to the
    next one. Without, a source is silent when nothing new has come for two periods.

    Args:
        source: As abp.yaml says.
        history: What was pulled.
        now: The workspace clock.
        zone: The workspace's time zone, for a source that names none.
    """
    first = history.first_at
    if first is None:
        return f"source {source.name!r} has never been pulled; run `abp ingest --due`"
    local = source.time_zone or zone
    arrivals = history.arrivals
    if source.expect_by is None:
        since = arrivals[-1] if arrivals else first
        if now - since <= 2 * source.every:
            return None
        return _tell(source, arrivals, "something new every " + _length(source.every), local)
    deadlines = _deadlines(source, first, now=now, zone=local)
    if deadlines[-1] <= first or _is_met(deadlines, arrivals):
        return None
    return _tell(source, arrivals, f"a file by {deadlines[-1]:%Y-%m-%d %H:%M %Z}", local)


def silent_sources(workspace: Workspace) -> Mapping[str, str]:
    """Return the silent ones among abp.yaml's sources: name to the sentence that says so."""
    settings = workspace.settings
    if not settings.sources:
        return {}
    histories, now = read_histories(workspace), workspace.clock()
    found = {
        source.name: silence_of(
            source, histories.get(source.name, History()), now=now, zone=settings.time_zone
        )
        for source in settings.sources
    }
    return {name: told for name, told in found.items() if told}


def _period(source: Source, moment: datetime, zone: ZoneInfo) -> int:
    """Number the periods of a source by the clock on its wall."""
    return (moment.astimezone(zone).replace(tzinfo=None) - _ORIGIN) // source.every


def _deadlines(
    source: Source, first: datetime, *, now: datetime, zone: ZoneInfo
) -> tuple[datetime, datetime, datetime]:
    """Return the last three deadlines that have passed."""
    step = max(1, source.every // _DAY)
    # Periods of several days are counted from the day of the first look.
    begin = first.astimezone(zone).date()
    passed = (now.astimezone(zone).date() - begin).days // step
    places = (begin + timedelta(days=step * (passed - back)) for back in range(3, -2, -1))
    moments = [
        datetime.combine(day, source.expect_by, tzinfo=zone)  # type: ignore[arg-type]  # the caller has one
        for day in places
    ]
    last = [moment for moment in moments if moment <= now][-3:]
    return last[0], last[1], last[2]


def _is_met(deadlines: tuple[datetime, datetime, datetime], arrivals: list[datetime]) -> bool:
    before, previous, last = deadlines
    was_met = any(before < moment <= previous for moment in arrivals)
    for moment in arrivals:
        if moment > last:
            return True
        nearer = moment - previous < last - moment
        if moment > previous and (was_met or not nearer):
            return True
    # Several in one window: the first may belong to the missed deadline, the next does not.
    between = [moment for moment in arrivals if previous < moment <= last]
    return len(between) > 1


def _tell(source: Source, arrivals: list[datetime], expected: str, zone: ZoneInfo) -> str:
    last = f"{arrivals[-1].astimezone(zone):%Y-%m-%d %H:%M %Z}" if arrivals else "its first look"
    return (
        f"source {source.name!r} is silent: {expected} was expected, nothing new has come since "
        f"{last}; its rows stay provisional. If no more will come, delete it from `sources`"
    )


def _length(every: timedelta) -> str:
    hours = every / timedelta(hours=1)
    return f"{hours / 24:g} d" if hours >= 48 else f"{hours:g} h"
