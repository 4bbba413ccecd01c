"""Numbers as people read them; a missing one always says why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from abplatform.domain.metrics import METRICS
from abplatform.figures import interval_text, percent

__all__ = [
    "MINUS",
    "MISSING",
    "Shown",
    "age",
    "count",
    "interval",
    "lift",
    "moment",
    "p_value",
    "plain",
    "rate",
]

MISSING = "—"
MINUS = "\N{MINUS SIGN}"
_UNKNOWN = "not computed"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Shown:
    """A number ready to be read.

    Args:
        text: The number with its unit, or :data:`MISSING`.
        why: Why it is missing; None when it is there.
    """

    text: str
    why: str | None = None

    @classmethod
    def missing(cls, why: str | None) -> Shown:
        """Return the sign for a missing number with its reason in plain words."""
        return cls(MISSING, plain(why) if why else _UNKNOWN)


def plain(word: str) -> str:
    """Return a stable word such as ``no_clicks`` as people write it.

    Of a word with its explanation, ``no_traffic: no unit has been seen yet``, the explanation.
    """
    code, colon, explanation = word.partition(": ")
    if colon and code.replace("_", "").isalnum():
        return explanation
    return word.replace("_", " ")


def count(value: int | None, why: str | None = None) -> Shown:
    """Return a count with thousands separated."""
    return Shown.missing(why) if value is None else Shown(f"{value:,}")


def rate(value: float | None, why: str | None = None, *, metric: str = "ctr") -> Shown:
    """Return a metric's rate: a share as ``2.31%``, money and scores as ``12.4``."""
    if value is None:
        return Shown.missing(why)
    return Shown(METRICS[metric].write(value).replace("-", MINUS))


def lift(value: float | None, why: str | None = None) -> Shown:
    """Return a relative lift with its sign: ``+4.2%``."""
    return Shown.missing(why) if value is None else Shown(percent(value))


def interval(low: float | None, high: float | None, why: str | None = None) -> Shown:
    """Return an interval of relative lifts; an open end is written as infinity."""
    if low is None and high is None:
        return Shown.missing(why)
    return Shown(interval_text(low, high))


def p_value(value: float | None, log10: float | None = None, why: str | None = None) -> Shown:
    """Return a p-value; a very small one as a power of ten, also where it underflows to 0."""
    if value is None:
        return Shown.missing(why)
    if value >= 0.0001:
        return Shown(f"{value:.3f}" if value >= 0.001 else f"{value:.4f}")
    if log10 is None:
        if value == 0:
            return Shown("<0.0001")
        log10 = math.log10(value)
    exponent = math.floor(log10)
    mantissa = round(10 ** (log10 - exponent), 1)
    if mantissa >= 10:
        mantissa, exponent = mantissa / 10, exponent + 1
    return Shown(f"{mantissa:.1f}·10{str(exponent).translate(_RAISED)}")


def moment(value: datetime, zone: ZoneInfo) -> str:
    """Return a moment in the workspace's time zone: ``30 Nov 2026, 12:00``."""
    local = value.astimezone(zone)
    return f"{local.day} {local:%b %Y, %H:%M}"


def age(value: timedelta) -> str:
    """Return how long something is ago, in its largest unit: ``3 hours``."""
    minutes = max(0, int(value.total_seconds() // 60))
    for unit, length in (("day", 1440), ("hour", 60)):
        if minutes >= length:
            number = minutes // length
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
