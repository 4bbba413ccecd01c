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
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from abplatform.stats.sequential.plan import Plan, PlanKind

__all__ = ["Clock", "respend", "run_clock"]

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
        counts: Whether the look may spend and stop at all.
        last: Whether it is the last look.
        over: Whether the last look came before.
    """

    fraction: Floats
    here: Floats
    spent: Floats
    counts: Flags
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
    by_fraction = plan.kind is not PlanKind.ANYTIME
    shape = information.shape[:-1]
    highest, fraction = (np.full(shape, value) for value in start[:2])
    over = np.zeros(shape, dtype=bool)
    fractions = np.zeros(information.shape)
    counts, lasts, overs = (np.zeros(information.shape, dtype=bool) for _ in range(3))
    for at, day in enumerate(days):
        ok = usable[..., at] & ~over
        ours = np.where(ok, information[..., at], 0.0)
        rises = ok & (ours > 0) & (ours >= _LEAST_RISE * highest)
        highest = np.maximum(highest, ours)
        fraction = np.where(ok, np.maximum(fraction, plan.fraction(day, highest)), fraction)
        last = ~over & ((by_fraction & ok & (fraction >= 1)) | (day >= plan.last_day))
        fractions[..., at], lasts[..., at], overs[..., at] = fraction, last, over
        counts[..., at] = by_fraction & (rises | (last & ok))
        over = over | last
    here, spent = _spend(plan, (fractions, counts, lasts), start[2])
    return Clock(fractions, here, spent, counts, lasts, overs)


def respend(clock: Clock, plan: Plan) -> Clock:
    """Return the same clock with the spends of a plan that differs in alpha only.

    Args:
        clock: Of looks from the first one on.
        plan: With the other alpha.
    """
    here, spent = _spend(plan, (clock.fraction, clock.counts, clock.last), 0.0)
    return replace(clock, here=here, spent=spent)


def _spend(plan: Plan, looks: tuple[Floats, Flags, Flags], before: float) -> tuple[Floats, Floats]:
    """Return a_k and what was spent up to each look."""
    fraction, counts, last = looks
    allowed = np.where(last, plan.alpha, plan.spent_by(fraction))
    start = np.full((*fraction.shape[:-1], 1), before)
    steps = np.concatenate([start, np.where(counts, allowed, 0.0)], axis=-1)
    spent = np.maximum.accumulate(steps, axis=-1)
    return np.diff(spent, axis=-1), spent[..., 1:]
