"""How much more pre-aggregated counts vary than independent impressions would.

Reports of k clicks in n impressions hide the units, and clicks of one unit hang together, so that
the binomial variance is too small. What can still be seen is how a creative's rate moves from day
to day:

    φ = χ²/df,   χ² = Σ_cells Σ_days (k_d - n_d·p)²/(n_d·p·(1 - p)),   df = Σ_cells (days - 1)

with p the cell's own rate, Pearson's dispersion of a quasi-binomial model. A cell is one creative
in one variant. φ is pooled over the cells of an experiment and used from 10 degrees of freedom on;
it holds the day-to-day swings that all variants share as well, and errs on the safe side by them.
With fewer, the design effect of the workspace's own experiments with unit rows stands in; without
any, impressions count as independent, which a warning says. Variances are multiplied by max(1, φ).

References:
    McCullagh, P., Nelder, J. A. (1989). Generalized Linear Models, 2nd ed., section 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from abplatform.stats.undetermined import Undetermined

__all__ = ["LEAST_DF", "Dispersion", "choose_dispersion", "pearson_dispersion"]

LEAST_DF = 10
"""Degrees of freedom from which day rows tell φ."""

Origin = Literal["day_rows", "design_effect", "assumed"]


@dataclass(frozen=True, slots=True)
class Dispersion:
    """What multiplies the variance of pre-aggregated counts.

    Args:
        factor: At least 1.
        origin: ``day_rows``, ``design_effect`` of the workspace, or ``assumed`` independent.
        df: Degrees of freedom that day rows gave, also where there were too few.
    """

    factor: float
    origin: Origin
    df: int = 0


def pearson_dispersion(
    cells: Iterable[tuple[Sequence[int], Sequence[int]]],
) -> tuple[float, int] | Undetermined:
    """Return Pearson's χ² and its degrees of freedom over day rows.

    Args:
        cells: Per cell the successes k and the trials n of its days. Days without trials, and
            cells without a success or without a failure, tell nothing and do not count.

    Returns:
        (χ², df); or why there is none: no cell has two days, or a day has k outside 0 … n.
    """
    statistic, df = Fraction(0), 0
    for successes, trials in cells:
        days = [(int(k), int(n)) for k, n in zip(successes, trials, strict=True) if n or k]
        if any(not 0 <= k <= n for k, n in days):
            return Undetermined("not_a_share: a day row has more successes than trials")
        top, bottom = sum(k for k, _ in days), sum(n for _, n in days)
        if len(days) < 2 or not 0 < top < bottom:
            continue
        # Σ (k·N - K·n)²/n over K·(N - K): the differences that cancel are of integers.
        spread = sum((Fraction((k * bottom - top * n) ** 2, n) for k, n in days), Fraction(0))
        statistic += spread / (top * (bottom - top))
        df += len(days) - 1
    if not df:
        return Undetermined("no_day_rows: no creative was reported on two days")
    return float(statistic), df


def choose_dispersion(
    day_rows: tuple[float, int] | Undetermined, *, design_effect: float | None
) -> Dispersion:
    """Choose what multiplies the variance: φ of the day rows, else the design effect, else 1.

    Args:
        day_rows: χ² and df of :func:`pearson_dispersion`, or why there are none.
        design_effect: Of the workspace's own experiments with unit rows; None if it has none.
    """
    df = 0 if isinstance(day_rows, Undetermined) else day_rows[1]
    if not isinstance(day_rows, Undetermined) and df >= LEAST_DF:
        return Dispersion(max(1.0, day_rows[0] / df), "day_rows", df)
    if design_effect is not None:
        return Dispersion(max(1.0, design_effect), "design_effect", df)
    return Dispersion(1.0, "assumed", df)
