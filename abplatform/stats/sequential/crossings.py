"""Where many simulated experiments first cross, without a boundary for each of them.

The exact boundary of a look takes an integration, yet lies between two bounds that take none
(:func:`~abplatform.stats.sequential.boundaries.boundary_bounds`). Only a run with a statistic
between its bounds before it surely crossed needs boundaries of its own: about 6 % of the runs
without an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from abplatform.stats.anytime import anytime_critical_value
from abplatform.stats.sequential.boundaries import BoundaryWalk, boundary_bounds
from abplatform.stats.sequential.clock import Clock, run_clock
from abplatform.stats.sequential.plan import Plan, PlanKind
from abplatform.stats.sequential.series import independent_correlation

__all__ = ["cross_by_clock", "first_crossings"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def first_crossings(
    plan: Plan,
    z: Floats,
    information: Floats,
    *,
    days: Sequence[int] | None = None,
    usable: Flags | None = None,
    correlation: Callable[[int], Floats] | None = None,
) -> npt.NDArray[np.int64]:
    """Return the number of the look, from 1, at which each run first crosses; 0 where none does.

    The answer is that of ``take_looks`` on each run's series.

    Args:
        plan: Of any kind; for an anytime plan z and information are those of the log ratio.
        z: Statistic of R runs at K looks, shape (R, K).
        information: I, same shape.
        days: The day of each look; default the plan's days.
        usable: Whether the look has enough data, same shape; default all have.
        correlation: Number of a run to rho of its K looks, asked only of runs that need it; default
            independent increments.
    """
    days = plan.days if days is None else days
    usable = np.ones(z.shape, dtype=bool) if usable is None else usable
    clock = run_clock(plan, days, information, usable)
    if plan.kind is PlanKind.ANYTIME:
        x = np.where(usable, information, 1.0) * plan.tau2
        sizes = np.where(usable & ~clock.over, np.abs(z), -1.0)
        return _first(sizes >= anytime_critical_value(alpha=plan.alpha, x=x))
    return cross_by_clock(clock, np.abs(z), information, usable=usable, correlation=correlation)


def cross_by_clock(
    clock: Clock,
    sizes: Floats,
    information: Floats,
    *,
    usable: Flags,
    correlation: Callable[[int], Floats] | None = None,
) -> npt.NDArray[np.int64]:
    """Return where each run first crosses, given what its looks may spend.

    Args:
        clock: Of R runs at K looks.
        sizes: |Z|, shape (R, K).
        information: I, same shape.
        usable: Whether the look has enough data, same shape.
        correlation: As for :func:`first_crossings`.
    """
    low, high = boundary_bounds(clock.here, clock.spent)
    maybe, surely = _first(sizes >= low), _first(sizes >= high)
    found = np.where(maybe == surely, surely, 0)
    for run in np.flatnonzero(maybe != surely):
        found[run] = _walk(
            clock,
            int(run),
            (sizes[run], information[run], usable[run]),
            None if correlation is None else correlation(int(run)),
        )
    return found


def _first(reached: Flags) -> npt.NDArray[np.int64]:
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, 0)


def _walk(
    clock: Clock, run: int, row: tuple[Floats, Floats, Flags], correlation: Floats | None
) -> int:
    """Return where one run first crosses by its own boundaries."""
    sizes, information, usable = row
    kept = np.flatnonzero(usable)
    ours = information[kept]
    if correlation is None:
        matrix = independent_correlation(ours.tolist())
    else:
        matrix = correlation[np.ix_(kept, kept)]
    walk = BoundaryWalk(ours.tolist(), matrix)
    for look in kept:
        if clock.over[run, look]:
            break
        here = float(clock.here[run, look])
        boundary = walk.solve(here)
        if sizes[look] >= boundary:
            return int(look) + 1
        walk.record(here, boundary)
    return 0
