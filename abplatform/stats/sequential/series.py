"""The looks of one contrast: what was counted by each day, and how looks hang together.

rho_jk = Σ_i ψ_i(j)·ψ_i(k) / √(Σ_i ψ_i(j)² · Σ_i ψ_i(k)²), summed over the units of both variants,
with ψ_i(k) = (k_i - r_v·n_i)/(r_v·Σn) of the totals from start to look k: what a unit contributes
to the log ratio's error at that look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.stats.moments import Score, UnitMoments, ratio_score, score_products
from abplatform.stats.ratio import RatioContrast, RatioSums, Undetermined, contrast

__all__ = [
    "LookPoint",
    "LookSeries",
    "build_series",
    "independent_correlation",
    "independent_series",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LookPoint:
    """Everything from start to the end of one day.

    Args:
        day: Number of the day, the first one is 1.
        contrast: Treatment against control, adjusted by covariates or not, or why there is none.
        pooled_rate: Σk/Σn over both variants; 0 where there is no denominator.
        event_units: Units with an event in the variant that has fewer.
    """

    day: int
    contrast: RatioContrast | Undetermined
    pooled_rate: float
    event_units: int

    @classmethod
    def of_sums(
        cls, day: int, control: RatioSums, treatment: RatioSums, *, share: bool = False
    ) -> LookPoint:
        """Return the point of two variants' sums over units.

        Args:
            day: Number of the day.
            control: From start to the end of that day.
            treatment: Likewise.
            share: Whether numerators count trials of the denominator.
        """
        n = control.n + treatment.n
        return cls(
            day=day,
            contrast=contrast(control, treatment, share=share),
            pooled_rate=(control.k + treatment.k) / n if n else 0.0,
            event_units=min(control.k_units, treatment.k_units),
        )

    @property
    def information(self) -> float | None:
        """I = r̄²/s², which is 1/variance of the log ratio near no difference."""
        if isinstance(self.contrast, Undetermined) or not self.pooled_rate:
            return None
        return (self.pooled_rate / self.contrast.se_absolute) ** 2

    @property
    def relative_lift(self) -> float | None:
        """r_t/r_c - 1, where there is one."""
        if isinstance(self.contrast, Undetermined):
            return None
        lift = self.contrast.relative_lift
        return None if isinstance(lift, Undetermined) else lift


@dataclass(frozen=True, slots=True, eq=False)
class LookSeries:
    """One contrast at the end of each day so far.

    Args:
        points: In order of their days.
        correlation: rho of the points' statistics, shape (K, K).

    Raises:
        ValueError: Days do not rise, or the correlation has another shape.
    """

    points: tuple[LookPoint, ...]
    correlation: Floats

    def __post_init__(self) -> None:
        """Refuse looks out of order."""
        days = [point.day for point in self.points]
        if days != sorted(set(days)) or self.correlation.shape != (len(days), len(days)):
            message = f"days {days} with correlations of shape {self.correlation.shape}"
            raise ValueError(message)

    def correlation_of(self, days: Sequence[int], information: Sequence[float]) -> Floats:
        """Return rho of looks at some days, shape (J, J).

        A day that the data no longer have takes √(I_j/I_k) with every other one.

        Args:
            days: In order.
            information: I at each of them, as recorded.
        """
        found = independent_correlation(information)
        at = {point.day: place for place, point in enumerate(self.points)}
        known = [place for place, day in enumerate(days) if day in at]
        mine = [at[days[place]] for place in known]
        found[np.ix_(known, known)] = self.correlation[np.ix_(mine, mine)]
        return found


def build_series(
    control: UnitMoments,
    treatment: UnitMoments,
    *,
    days: Sequence[int],
    share: bool = False,
    adjusted: Sequence[RatioContrast | Undetermined] | None = None,
    scores: tuple[Sequence[Score], Sequence[Score]] | None = None,
) -> LookSeries:
    """Return the looks of one contrast from moments of running totals.

    Args:
        control: Place p holds everything from start to the end of ``days[p]``.
        treatment: Likewise.
        days: Number of each place's day, rising.
        share: Whether numerators count trials of the denominator.
        adjusted: Contrasts that replace those of the plain sums, one a place, such as CUPED's.
        scores: Their scores, for control and treatment, one a place; default those of log r.
    """
    points = []
    for at, day in enumerate(days):
        point = LookPoint.of_sums(
            day, control.ratio_sums(at), treatment.ratio_sums(at), share=share
        )
        if adjusted is not None:
            point = LookPoint(day, adjusted[at], point.pooled_rate, point.event_units)
        points.append(point)
    told = [at for at, point in enumerate(points) if isinstance(point.contrast, RatioContrast)]
    sides = (control, treatment)
    # A logarithm needs a positive rate; money that was refunded may have none.
    log = all(one.sums[one.at("k"), at] > 0 for one in sides for at in told)
    gram = np.zeros((len(told), len(told)))
    for side, moments in enumerate(sides):
        ours = [
            ratio_score(moments, at, log=log) if scores is None else scores[side][at] for at in told
        ]
        gram += score_products(moments, ours)
    correlation = np.eye(len(points))
    if told:
        scale = np.sqrt(np.diag(gram))
        correlation[np.ix_(told, told)] = np.clip(gram / np.outer(scale, scale), -1.0, 1.0)
    return LookSeries(tuple(points), correlation)


def independent_series(points: Sequence[LookPoint]) -> LookSeries:
    """Return looks whose increments are taken to be independent: rho_jk = √(I_j/I_k).

    For aggregates, which know no units, and for tests.

    Args:
        points: In order of their days.
    """
    information = [point.information or 0.0 for point in points]
    return LookSeries(tuple(points), independent_correlation(information))


def independent_correlation(information: Sequence[float]) -> Floats:
    """Return √(I_j/I_k) for j < k, the correlation of looks with independent increments.

    Args:
        information: I of each look; 0 where there is none.
    """
    values = np.asarray(information, dtype=float)
    low, high = np.minimum.outer(values, values), np.maximum.outer(values, values)
    found: Floats = np.sqrt(np.divide(low, high, out=np.zeros_like(low), where=high > 0))
    np.fill_diagonal(found, 1.0)
    return found
