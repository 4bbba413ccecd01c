"""The course of an experiment: its lift day by day, what decides, and what is always valid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from abplatform.figures.lines import Line, Mark, line_plot

__all__ = ["CoursePoint", "course_plot"]

_LARGEST = math.log(3)
"""Beyond a threefold lift a boundary is no news."""


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """What was known at the end of one day.

    Args:
        day: The day.
        lift: The relative lift so far; None where there is none.
        low: Lower end of the interval that is valid on all days together; None where open.
        high: Upper end, likewise.
        z_needed: How large the statistic z must be to decide; None where nothing can.
        information: One over the variance of the log-lift.
        mark: A word for a day that stands out, such as the one that decided; else empty.
    """

    day: date
    lift: float | None
    low: float | None = None
    high: float | None = None
    z_needed: float | None = None
    information: float | None = None
    mark: str = ""


def course_plot(points: Sequence[CoursePoint], *, metric: str) -> str:
    """Draw the lift so far, the boundary at which it decides, and the band around it.

    Args:
        points: In order of days.
        metric: What is measured.

    Returns:
        An ``<svg>`` element.
    """
    days = [float(point.day.toordinal()) for point in points]
    band = Line(
        "always valid",
        days,
        [point.low for point in points],
        high=[point.high for point in points],
        style="band",
        colour=2,
    )
    lines = [band, *_boundary(points, days), Line("lift so far", days, [p.lift for p in points])]
    return line_plot(
        lines,
        title=f"Cumulative lift of {metric} by day",
        x_axis="end of day",
        y_axis=f"lift of {metric} since the start",
        marks=[Mark(day, p.mark) for day, p in zip(days, points, strict=True) if p.mark],
        write_x=lambda day: f"{date.fromordinal(int(day)):%d %b}",
        least_step=1,
    )


def _boundary(points: Sequence[CoursePoint], days: Sequence[float]) -> list[Line]:
    """Return the lifts at which the statistic would decide, ±z/√I on the log scale."""
    edges = [_edge(point) for point in points]
    if not any(edges):
        return []
    above = [None if edge is None else math.expm1(edge) for edge in edges]
    below = [None if edge is None else math.expm1(-edge) for edge in edges]
    return [
        Line("boundary", days, above, style="dashed", colour=4),
        Line("", days, below, style="dashed", colour=4),
    ]


def _edge(point: CoursePoint) -> float | None:
    if point.z_needed is None or not point.information:
        return None
    edge = point.z_needed / math.sqrt(point.information)
    return edge if edge < _LARGEST else None
