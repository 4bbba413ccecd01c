"""Does one experiment change what another one does? A 2 x 2 of ratios of sums over units.

Units that were in two experiments form four cells: control or treatment of this one (c, t) by
control or treatment of the other (c, t). Cells share no unit, so that

    I = log r_tt - log r_ct - log r_tc + log r_cc,   var I = Σ over cells of v / r²

(first index this experiment, second the other), with v the unit-clustered variance of each rate.
exp(I) is the ratio of ratios: how many times larger 1 + lift is beside the other's treatment. The
reference is t with Satterthwaite's degrees of freedom, a cell's being its effective units with an
event, (Σk)²/Σk², less one: the log of few clicks is not normal.

References:
    Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components.
    Biometrics Bulletin 2(6), 110-114.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from abplatform.stats.ratio import Interval, RatioSums, Undetermined, find_obstacle

__all__ = ["CELLS", "Cell", "RatioOfRatios", "ratio_of_ratios"]

Cell = Literal["control/control", "control/treatment", "treatment/control", "treatment/treatment"]

CELLS: Mapping[Cell, int] = {
    "control/control": 1,
    "control/treatment": -1,
    "treatment/control": -1,
    "treatment/treatment": 1,
}
"""Cell, this experiment's variant first, to its sign in I."""


@dataclass(frozen=True, slots=True)
class RatioOfRatios:
    """How the lift differs between the other experiment's variants.

    Args:
        log_ratio: I.
        se: Its standard error.
        df: Degrees of freedom of its reference.
        p_value: Two-sided; 2.2e-308 where it underflows.
        relative: exp(I) - 1.
        interval: Of ``relative`` at 1 - alpha.
    """

    log_ratio: float
    se: float
    df: float
    p_value: float
    relative: float
    interval: Interval


def ratio_of_ratios(
    cells: Mapping[Cell, RatioSums],
    *,
    alpha: float = 0.05,
    share: bool = False,
    event: str = "click",
) -> RatioOfRatios | Undetermined:
    """Compare a treatment's lift between the two variants of another experiment.

    Args:
        cells: The four cells' sums over units.
        alpha: Two-sided error rate of the interval.
        share: Whether numerators count trials of the denominator.
        event: What a numerator counts, for the reasons.
    """
    for name, sums in cells.items():
        obstacle = find_obstacle(sums, sums, share=share, event=event)
        if obstacle is not None:
            return Undetermined(obstacle.reason.replace("control", name, 1))
        if sums.k <= 0:
            return Undetermined(f"no_positive_rate: the rate of {name} has no logarithm")
    from scipy.special import stdtr, stdtrit

    logs = {name: math.log(sums.k / sums.n) for name, sums in cells.items()}
    log_ratio = math.fsum(sign * logs[name] for name, sign in CELLS.items())
    parts = {name: sums.variance / (sums.k / sums.n) ** 2 for name, sums in cells.items()}
    variance = math.fsum(parts.values())
    df = variance**2 / math.fsum(
        part**2 / max(cells[name].k ** 2 / cells[name].kk - 1, 1.0) for name, part in parts.items()
    )
    se = math.sqrt(variance)
    half = -float(stdtrit(df, alpha / 2)) * se
    return RatioOfRatios(
        log_ratio=log_ratio,
        se=se,
        df=df,
        p_value=max(2 * float(stdtr(df, -abs(log_ratio) / se)), sys.float_info.min),
        relative=math.expm1(log_ratio),
        interval=Interval(math.expm1(log_ratio - half), math.expm1(log_ratio + half)),
    )
