"""ISO weeks: how they are written, when they begin, and when their rows are final."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import METRICS
from abplatform.errors import WorkspaceError

__all__ = ["IsoWeek", "final_at", "named_week", "parse_week", "week_of"]

_WRITTEN = re.compile(r"(\d{4})-W(\d{2})")
_IN_KEY = re.compile(r"(?<!\d)(\d{4})w(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True, order=True)
class IsoWeek:
    """A week by ISO 8601: Monday to Sunday.

    Args:
        year: The ISO year.
        number: 1 … 53.
    """

    year: int
    number: int

    def __str__(self) -> str:
        """Return ``2026-W48``."""
        return f"{self.year}-W{self.number:02d}"

    @property
    def key_part(self) -> str:
        """How an experiment's key names the week: ``2026w48``."""
        return f"{self.year}w{self.number:02d}"

    @property
    def monday(self) -> date:
        """Its first day."""
        return date.fromisocalendar(self.year, self.number, 1)

    def starts_at(self, zone: ZoneInfo) -> datetime:
        """Its first moment in a time zone."""
        return datetime.combine(self.monday, time(), zone)

    def ends_at(self, zone: ZoneInfo) -> datetime:
        """The first moment of the week after it."""
        return datetime.combine(self.monday + timedelta(days=7), time(), zone)


def parse_week(text: str) -> IsoWeek:
    """Read ``2026-W48``.

    Raises:
        WorkspaceError: It is not written so, or that year has no such week.
    """
    written = _WRITTEN.fullmatch(text.strip())
    if written is not None:
        week = IsoWeek(int(written[1]), int(written[2]))
        try:
            week.monday  # noqa: B018 -- asking for its Monday is the test of whether it exists
        except ValueError:
            written = None
        else:
            return week
    raise WorkspaceError(f"{text!r} is no ISO week", remedy="write a week like 2026-W48")


def week_of(moment: datetime, zone: ZoneInfo) -> IsoWeek:
    """Return the week that a moment lies in, by the days of a time zone."""
    year, number, _ = moment.astimezone(zone).isocalendar()
    return IsoWeek(year, number)


def named_week(key: str) -> IsoWeek | None:
    """Return the week that an experiment's key names, as ``scenes-2026w48`` does; None if none."""
    written = _IN_KEY.search(key)
    try:
        return parse_week(f"{written[1]}-W{written[2]}") if written else None
    except WorkspaceError:
        return None


def final_at(week: IsoWeek, experiments: Iterable[Experiment], zone: ZoneInfo) -> datetime:
    """Return when the week's last row can change no more.

    That is its end + attribution_window + late_data of the most patient experiment, and
    conversion_window + refund_window more where a metric counts conversions.

    Args:
        week: The week.
        experiments: Those that run in it.
        zone: The workspace's time zone.
    """
    patience = timedelta(0)
    for experiment in experiments:
        windows = experiment.events
        own = windows.attribution_window + windows.late_data
        metrics = {experiment.primary.metric, *(g.metric for g in experiment.guardrails)}
        if any(METRICS[metric].needs_conversions for metric in metrics):
            own += windows.conversion_window + windows.refund_window
        patience = max(patience, own)
    return week.ends_at(zone) + patience
