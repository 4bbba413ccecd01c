"""The clock of a sequential plan: how far each look is, and what it may spend.

t_k = min(1, max_{j ≤ k} I_j/I_max), or day/max_runtime without a planned maximum. A look that does
not raise the largest information so far by 0.1 % spends nothing. The last look, the first at t = 1
or else the day of max_runtime, spends all that remains, so that an experiment that gathered less
or more than planned still spends exactly alpha.

What a look may spend never depends on the statistics, so the clock runs ahead of the boundaries,
for one experiment or for thousands of simulated ones at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.stats.sequential.plan import Plan, PlanKind

__all__ = ["Clock", "run_clock"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_LEAST_RISE = 1.001


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """What the looks of one or many experiments may spend; arrays of shape (..., K).

    Args:
        fraction: t_k.
        here: a_k; nothing after the last look.
        spent: What has been spent up to and including look k.
        last: Whether it is the last look.
        over: Whether the last look came before.
    """

    fraction: Floats
    here: Floats
    spent: Floats
    last: Flags
    over: Flags


def run_clock(
    plan: Plan,
    days: Sequence[int],
    information: Floats,
    usable: Flags,
    *,
    start: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Clock:
    """Return what each look may spend.

    Args:
        plan: Sequential or fixed; an anytime plan spends nothing.
        days: The day of each look.
        information: I_k, shape (..., K); any number where a look is not usable.
        usable: Whether the look has enough data to be tested, same shape.
        start: Largest information, fraction and spent error of the looks before these.
    """
    shape = information.shape[:-1]
    highest, fraction, spent = (np.full(shape, value) for value in start)
    over = np.zeros(shape, dtype=bool)
    rows: list[tuple[npt.NDArray[np.generic], ...]] = []
    for at, day in enumerate(days):
        ok = usable[..., at]
        ours = np.where(ok, information[..., at], 0.0)
        rises = ok & (ours > 0) & (ours >= _LEAST_RISE * highest)
        highest = np.maximum(highest, ours)
        fraction = np.where(ok, np.maximum(fraction, plan.fraction(day, highest)), fraction)
        last = (ok & (fraction >= 1)) | (day >= plan.last_day)
        if plan.kind is PlanKind.ANYTIME:
            last = np.full(shape, day >= plan.last_day)
            allowed = spent
        else:
            allowed = np.where(last, plan.alpha, np.where(rises, plan.spent_by(fraction), spent))
        here = np.where(ok & ~over, np.maximum(allowed - spent, 0.0), 0.0)
        spent = np.where(here > 0, allowed, spent)
        rows.append((fraction, here, spent, last & ~over, over))
        over = over | last
    columns = [np.stack(column, axis=-1) for column in zip(*rows, strict=True)]
    return Clock(*columns)
