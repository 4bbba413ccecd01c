"""Bootstrap by unit: a check of the Fieller interval that assumes nothing of its shape.

Each run draws the units of both variants again, with all that each of them did, and recomputes the
relative lift. Drawing is done by weights: a unit counts W_i times, W_i ~ Poisson(1) independently,
or (W_1 … W_U) multinomial, which is drawing U units with replacement. Poisson weights let U itself
vary and agree with the multinomial from some hundred units on.

References:
    Efron, B. (1979). Bootstrap methods: another look at the jackknife. Ann. Stat. 7(1).
    Chamandy, N., Muralidharan, O., Najmi, A., Naidu, S. (2012). Estimating uncertainty for massive
    data streams. Google Technical Report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from abplatform.stats.fieller import Interval
from abplatform.stats.undetermined import Undetermined

__all__ = ["BootstrapLift", "Units", "bootstrap_lift"]

_LARGEST_BLOCK = 2_000_000
"""Weights drawn at once: 16 MB."""

Units = tuple[Sequence[int], Sequence[int]]
"""Numerators k and denominators n, one a unit."""


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapLift:
    """The relative lift, drawn again and again.

    Args:
        lifts: r_t/r_c - 1 of each run that had a base, in order of drawing.
        interval: Percentile interval.
        se: Standard deviation of the lifts.
        without_base: Runs left out because the control drew no positive rate.
    """

    lifts: npt.NDArray[np.float64]
    interval: Interval
    se: float
    without_base: int


def bootstrap_lift(
    control: Units,
    treatment: Units,
    *,
    rng: np.random.Generator,
    runs: int = 2000,
    alpha: float = 0.05,
    weights: Literal["poisson", "multinomial"] = "poisson",
) -> BootstrapLift | Undetermined:
    """Draw the relative lift of two ratios of sums again by unit.

    Args:
        control: The control's units.
        treatment: The treatment's units.
        rng: Where chance comes from.
        runs: How often.
        alpha: One less the interval's level.
        weights: How units are drawn.

    Returns:
        The draws, or why there are none: a variant without two units, or more than alpha/2 of the
        runs without a positive base, where the interval's end would be unknown.

    Raises:
        ValueError: Fewer than 100 runs; k and n of different lengths; a total that is not finite.
    """
    if runs < 100:
        message = f"{runs} runs give no interval; take at least 100"
        raise ValueError(message)
    totals = []
    for name, units in (("control", control), ("treatment", treatment)):
        table = np.array(units, dtype=float)  # (2, U)
        if not np.isfinite(table).all():
            message = f"a total of {name} is not finite"
            raise ValueError(message)
        if table.shape[1] < 2:
            return Undetermined(f"no_traffic: {name} has fewer than two units")
        totals.append(np.concatenate(list(_draw(table, rng, runs, weights)), axis=1))
    (k_c, n_c), (k_t, n_t) = totals
    based = (n_c > 0) & (k_c > 0) & (n_t > 0)
    lost = int(runs - based.sum())
    if lost > runs * alpha / 2:
        return Undetermined(f"no_positive_base: {lost} of {runs} runs drew no positive base")
    lifts = (k_t[based] * n_c[based]) / (n_t[based] * k_c[based]) - 1
    low, high = np.quantile(lifts, [alpha / 2, 1 - alpha / 2])
    return BootstrapLift(lifts, Interval(float(low), float(high)), float(lifts.std(ddof=1)), lost)


def _draw(
    table: npt.NDArray[np.float64],
    rng: np.random.Generator,
    runs: int,
    weights: Literal["poisson", "multinomial"],
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield sums of k and n over weighted units, shape (2, block)."""
    size = table.shape[1]
    block = max(1, _LARGEST_BLOCK // size)
    for start in range(0, runs, block):
        count = min(block, runs - start)
        if weights == "poisson":
            drawn = rng.poisson(1.0, (count, size))
        else:
            drawn = rng.multinomial(size, np.full(size, 1 / size), count)
        yield table @ drawn.T
