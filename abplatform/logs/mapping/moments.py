"""Cells → days and moments."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.domain.events import EventRejected

__all__ = ["read_day", "read_moment"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_day(value: Any) -> date:
    """Return a cell's day.

    Raises:
        EventRejected: It is no YYYY-MM-DD.
    """
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise EventRejected("wrong_type", f"`day` is {value!r}, not YYYY-MM-DD") from None


def read_moment(
    value: Any, pattern: str | None, time_zone: ZoneInfo, local: ZoneInfo | None = None
) -> str:
    """Return a cell's moment as RFC 3339; one without an offset stays so, to be refused.

    Where clocks go back, a local moment that comes twice is taken to be the first one; where they
    go forward, one that never was is read with the offset from before.

    Args:
        value: The cell.
        pattern: None for RFC 3339, ``epoch_ms``, ``iso_week``, or a strptime pattern.
        time_zone: Where a week begins.
        local: Where moments without an offset are local; None: nobody knows.

    Raises:
        EventRejected: It does not fit the pattern.
    """
    if isinstance(value, datetime):
        return _placed(value, local).isoformat()
    try:
        if pattern is None:
            return str(value) if local is None else _told(str(value), local)
        if pattern == "epoch_ms":
            return (EPOCH + timedelta(milliseconds=int(str(value)))).isoformat()
        if pattern == "iso_week":
            monday = _monday(str(value))
            zone = local or time_zone
            return datetime(monday.year, monday.month, monday.day, tzinfo=zone).isoformat()
        # The mapping's pattern holds %z, or it says where its times are local.
        moment = datetime.strptime(str(value), pattern)  # noqa: DTZ007 -- see above
        return _placed(moment, local).isoformat()
    except (ValueError, OverflowError) as error:
        raise EventRejected("bad_timestamp", f"{value!r}: {error}") from None


def _told(text: str, local: ZoneInfo) -> str:
    """Return RFC 3339 as it is, and a local moment with its offset; other texts are refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if moment.tzinfo else moment.replace(tzinfo=local).isoformat()


def _placed(moment: datetime, local: ZoneInfo | None) -> datetime:
    return moment if local is None or moment.tzinfo else moment.replace(tzinfo=local)


def _monday(week: str) -> date:
    """Return the first day of ``2026-W48`` or ``202648``.

    Some calendars count the days before their first whole week as week 00; here that is the week
    of 1 January.
    """
    digits = week.replace("-W", "").replace("W", "")
    year, number = int(digits[:4]), int(digits[4:])
    if number == 0:
        new_year = date(year, 1, 1)
        return new_year - timedelta(days=new_year.weekday())
    return date.fromisocalendar(year, number, 1)
