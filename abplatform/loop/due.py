"""Which weekly turns can go on now, and when the others can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from abplatform.domain.experiment import State
from abplatform.loop.steps import is_finished
from abplatform.loop.weeks import IsoWeek, final_at, named_week, parse_week, week_of
from abplatform.traffic.registry import RegisteredExperiment, Registry
from abplatform.workspace import Workspace

__all__ = ["Waiting", "find_due", "find_waiting"]

_WEEK = timedelta(days=7)
_BEGUN, _ENDED = "register", "promote"
"""The step after which a turn waits for its week, and the last one that changes anything."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A turn that cannot go on yet.

    Args:
        week: Which.
        until: When it can.
    """

    week: IsoWeek
    until: datetime


def find_due(workspace: Workspace) -> list[IsoWeek]:
    """Return the weeks whose turn can go on now, oldest first.

    A turn begins when its week does, draws and starts what the week needs, waits until the week's
    rows are final, and then goes to its end. A turn that was cut short is due as well.
    """
    return [one.week for one in _open_turns(workspace) if one.until <= workspace.clock()]


def find_waiting(workspace: Workspace) -> list[Waiting]:
    """Return the weeks whose turn has to wait, in the order in which they can go on."""
    now = workspace.clock()
    found = [one for one in _open_turns(workspace) if one.until > now]
    return sorted(found, key=lambda one: (one.until, one.week))


def _open_turns(workspace: Workspace) -> list[Waiting]:
    """Return every turn that is not at its end, with the moment from which on it can go on."""
    zone = workspace.settings.time_zone
    first = _first_week(workspace, zone)
    weeks: dict[IsoWeek, list[RegisteredExperiment]] = {}
    for registered in Registry(workspace).experiments().values():
        for week in _weeks_of(registered, workspace.clock(), zone):
            if week >= first:
                weeks.setdefault(week, []).append(registered)
    found = []
    for week in sorted(weeks):
        folder = workspace.runs / str(week)
        if is_finished(folder, _ENDED):
            continue
        found.append(Waiting(week, _goes_on_at(week, weeks[week], folder, zone)))
    return found


def _first_week(workspace: Workspace, zone: ZoneInfo) -> IsoWeek:
    """Return the first week that has a turn, else this one: what was before has no turns."""
    begun = [path.name for path in workspace.runs.glob("*-W*") if path.is_dir()]
    weeks = [week_of(workspace.clock(), zone), *map(parse_week, begun)]
    return min(weeks)


def _goes_on_at(
    week: IsoWeek, experiments: Iterable[RegisteredExperiment], folder: Path, zone: ZoneInfo
) -> datetime:
    if not is_finished(folder, _BEGUN):
        return week.starts_at(zone)
    return final_at(week, (one.experiment for one in experiments), zone)


def _weeks_of(registered: RegisteredExperiment, now: datetime, zone: ZoneInfo) -> list[IsoWeek]:
    """Return the weeks in which an experiment runs, or the one that a draft's key names."""
    if registered.state is State.DRAFT:
        named = named_week(registered.key)
        return [named] if named else []
    if registered.started_at is None:
        return []
    week, ends = week_of(registered.started_at, zone), registered.ended_at or now
    found: list[IsoWeek] = []
    while week.starts_at(zone) < ends or not found:
        found.append(week)
        week = week_of(week.starts_at(zone) + _WEEK + timedelta(hours=12), zone)
    return found
