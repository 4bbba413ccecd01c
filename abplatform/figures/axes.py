"""Axes: where round numbers stand and how finely they are written."""

from __future__ import annotations

import math

__all__ = ["digits_of", "ticks"]


def ticks(low: float, high: float, *, count: int = 6, least: float = 0.0) -> list[float]:
    """Return about ``count`` round numbers between two ends, at least ``least`` apart."""
    raw = max((high - low) / count, least)
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def digits_of(low: float, high: float) -> int:
    """Return how many digits behind the point percentages need on an axis."""
    return 0 if high - low > 0.06 else 1 if high - low > 0.006 else 2
