"""When an experiment may end, and when its verdict can be final."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard import Run, decision_moment
from abplatform.analysis.scorecard.looks import final_delay
from abplatform.domain.experiment import Experiment
from abplatform.traffic.registry.look_days import start_of_day

__all__ = ["Calendar", "plan_calendar"]

_DAY = timedelta(days=1)
_CLOCK_CHANGE = 2 / 24
"""A run on which clocks change is this much longer than its days, and lasts no day more."""


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

    @property
    def days(self) -> int:
        """How many days there are to the last look, at least one."""
        lasts = (self.decides_at - self.starts_at) / _DAY
        return max(1, math.ceil(lasts - _CLOCK_CHANGE))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "starts_at": self.starts_at.isoformat(),
            "decides_at": self.decides_at.isoformat(),
            "earliest_verdict": self.earliest_verdict.isoformat(),
            "latest_verdict": self.latest_verdict.isoformat(),
            "waiting_hours": self.waiting / timedelta(hours=1),
        }


def plan_calendar(experiment: Experiment, run: Run, zone: ZoneInfo) -> Calendar:
    """Return when it ends; a draft starts with the next workspace day.

    Args:
        experiment: Says runtimes and windows.
        run: How it ran, if it did; its calendar may make a run longer.
        zone: Where a workspace day ends.
    """
    starts = run.started_at or start_of_day(run.now + _DAY, zone)
    if run.started_at is None:
        run = replace(run, started_at=starts, calendar_at_start=run.calendar)
    decides = decision_moment(experiment, run, zone) or starts + experiment.analysis.max_runtime
    waiting = final_delay(experiment)
    first = decides
    if experiment.analysis.test != "fixed":
        first = min(decides, starts + experiment.analysis.min_runtime)
    return Calendar(starts, decides, first + waiting, decides + waiting, waiting)
