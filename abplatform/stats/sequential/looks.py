"""Taking looks: plan and data in, rows out.

The rows of past looks are facts: they are handed in and come back as they were, whatever has
happened to the data since. Looks at all later days are added, up to a crossing or the last look;
from then on the experiment is decided and no row is added any more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from abplatform.stats.anytime import ANYTIME_EVENT_UNITS, anytime_critical_value
from abplatform.stats.ratio import (
    MIN_EVENT_UNITS,
    SMALL_SAMPLE_UNITS,
    RatioContrast,
    Undetermined,
)
from abplatform.stats.sequential.boundaries import BoundaryWalk
from abplatform.stats.sequential.clock import run_clock
from abplatform.stats.sequential.plan import Plan, PlanKind
from abplatform.stats.sequential.series import LookPoint, LookSeries

__all__ = ["LookRow", "Ruling", "rule", "take_looks"]


@dataclass(frozen=True, slots=True)
class LookRow:
    """One look, as it was taken.

    Args:
        look: Number of the look, from 1; skipped ones count.
        day: Number of the day at whose end it was taken.
        information: I of the data then; None where the look was skipped.
        information_fraction: t, how far the experiment was.
        z: The statistic; None where the look was skipped.
        boundary: |z| from which on the look decides; None while that is infinite, or above 37,
            where what may be spent is no float any more.
        alpha_here: What this look spent; None where the plan spends nothing.
        alpha_spent: What all looks so far spent; None where the plan spends nothing.
        relative_lift: Estimate then; None where there is none.
        skipped: ``code: sentence`` where there was not enough data, else None.
        crossed: Whether |z| reached the boundary.
        last: Whether it was the last look, which decides either way.
    """

    look: int
    day: int
    information: float | None
    information_fraction: float
    z: float | None
    boundary: float | None
    alpha_here: float | None
    alpha_spent: float | None
    relative_lift: float | None
    skipped: str | None
    crossed: bool
    last: bool

    def to_json(self) -> dict[str, Any]:
        """Return the row as it is written to a journal; floats survive to the last digit."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> LookRow:
        """Return the row that ``to_json`` wrote; further keys are left alone.

        Raises:
            KeyError: A field is missing.
        """
        return cls(**{name: row[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the looks so far say.

    Args:
        decided: Whether a look crossed or the last look was taken.
        row: The look that decided, or None.
        direction: 1 where treatment won over control, -1 where it lost, 0 else.
        undetermined: Why the last look could not be tested, or None.
    """

    decided: bool
    row: LookRow | None
    direction: int
    undetermined: Undetermined | None


def take_looks(plan: Plan, series: LookSeries, past: Sequence[LookRow] = ()) -> tuple[LookRow, ...]:
    """Return all looks: the past ones as they were, and those at days that came since.

    Args:
        plan: When to look, and what a look may decide.
        series: One point for every day whose rows are final; other days than those of the plan
            are left alone.
        past: Rows of earlier looks, in order.
    """
    rows = list(past)
    if rule(rows).decided:
        return tuple(rows)
    done = rows[-1].day if rows else 0
    points = [one for one in series.points if one.day in plan.days and one.day > done]
    take = _take_anytime if plan.kind is PlanKind.ANYTIME else _take_spending
    for row in take(plan, series, rows, points):
        rows.append(row)
        if row.crossed or row.last:
            break
    return tuple(rows)


def rule(rows: Sequence[LookRow]) -> Ruling:
    """Return what the looks so far say.

    Args:
        rows: As ``take_looks`` returned them.
    """
    for row in rows:
        if row.crossed or row.last:
            undetermined = Undetermined(row.skipped) if row.skipped else None
            direction = int(math.copysign(1, row.z or 0.0)) if row.crossed else 0
            return Ruling(True, row, direction, undetermined)
    return Ruling(False, None, 0, None)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A point that can be tested, or why it cannot."""

    z: float
    information: float
    skipped: str | None = None


def _take_spending(
    plan: Plan, series: LookSeries, past: Sequence[LookRow], points: Sequence[LookPoint]
) -> Iterator[LookRow]:
    before = len(past)
    measured = [_measure(plan, point) for point in points]
    clock = run_clock(
        plan,
        [point.day for point in points],
        np.array([one.information for one in measured]),
        np.array([one.skipped is None for one in measured], dtype=bool),
        start=_resume(past),
    )
    walk = _walk(series, past, list(zip(points, measured, strict=True)))
    for at, (point, one) in enumerate(zip(points, measured, strict=True)):
        here, boundary = float(clock.here[at]), math.inf
        if one.skipped is None:
            boundary = walk.solve(here)
            walk.record(here, boundary)
        yield _row(
            before + at + 1,
            point,
            one,
            boundary=boundary,
            information_fraction=float(clock.fraction[at]),
            alpha_here=here,
            alpha_spent=float(clock.spent[at]),
            last=bool(clock.last[at]),
        )


def _take_anytime(
    plan: Plan, _series: LookSeries, past: Sequence[LookRow], points: Sequence[LookPoint]
) -> Iterator[LookRow]:
    before, (highest, _, _) = len(past), _resume(past)
    for at, point in enumerate(points):
        one = _measure(plan, point)
        highest = max(highest, one.information)
        boundary = math.inf
        if one.skipped is None:
            x = one.information * plan.tau2
            boundary = float(anytime_critical_value(alpha=plan.alpha, x=x))
        yield _row(
            before + at + 1,
            point,
            one,
            boundary=boundary,
            information_fraction=float(plan.fraction(point.day, highest)),
            alpha_here=None,
            alpha_spent=None,
            last=point.day >= plan.last_day,
        )


def _row(number: int, point: LookPoint, one: _Measured, *, boundary: float, **rest: Any) -> LookRow:
    tested = one.skipped is None
    return LookRow(
        look=number,
        day=point.day,
        information=one.information if tested else None,
        z=one.z if tested else None,
        boundary=None if math.isinf(boundary) else boundary,
        relative_lift=point.relative_lift,
        skipped=one.skipped,
        crossed=tested and abs(one.z) >= boundary,
        **rest,
    )


def _walk(
    series: LookSeries, past: Sequence[LookRow], fresh: Sequence[tuple[LookPoint, _Measured]]
) -> BoundaryWalk:
    """Return the walk over all looks with data, having passed those of the past."""
    known = [row for row in past if row.skipped is None]
    kept = [(row.day, row.information or 0.0) for row in known]
    kept += [(point.day, one.information) for point, one in fresh if one.skipped is None]
    days, information = [day for day, _ in kept], [value for _, value in kept]
    walk = BoundaryWalk(information, series.correlation_of(days, information))
    for row in known:
        walk.record(row.alpha_here or 0.0, math.inf if row.boundary is None else row.boundary)
    return walk


def _resume(past: Sequence[LookRow]) -> tuple[float, float, float]:
    """Return largest information, fraction and spent error of the looks so far."""
    if not past:
        return (0.0, 0.0, 0.0)
    highest = max(row.information or 0.0 for row in past)
    return (highest, past[-1].information_fraction, past[-1].alpha_spent or 0.0)


def _measure(plan: Plan, point: LookPoint) -> _Measured:
    if isinstance(point.contrast, Undetermined):
        return _Measured(0.0, 0.0, point.contrast.reason)
    anytime = plan.kind is PlanKind.ANYTIME
    needed = ANYTIME_EVENT_UNITS if anytime else SMALL_SAMPLE_UNITS
    if point.day >= plan.last_day and not anytime:
        needed = MIN_EVENT_UNITS
    if point.event_units < needed:
        reason = f"{point.event_units} units with an event in a variant, a look needs {needed}"
        return _Measured(0.0, 0.0, f"few_events: {reason}")
    if anytime:
        return _measure_log(point.contrast)
    if not point.information:
        return _Measured(0.0, 0.0, "no_rate: the rate of both variants together is zero")
    return _Measured(point.contrast.z, point.information)


def _measure_log(contrast: RatioContrast) -> _Measured:
    estimate, variance = contrast.log_ratio, contrast.log_ratio_variance
    if isinstance(estimate, Undetermined):
        return _Measured(0.0, 0.0, estimate.reason)
    if isinstance(variance, Undetermined):
        return _Measured(0.0, 0.0, variance.reason)
    if variance <= 0:
        return _Measured(0.0, 0.0, "no_variance: the log ratio shows no variance")
    return _Measured(estimate / math.sqrt(variance), 1 / variance)
