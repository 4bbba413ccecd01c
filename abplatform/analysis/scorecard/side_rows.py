"""One contrast as a row beside the lifts, such as on special days or on units' first day."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from abplatform.analysis.scorecard.lifts import SHARES, event_of, relative_fields
from abplatform.analysis.scorecard.special_views import SideRow
from abplatform.analysis.scorecard.totals import NOBODY
from abplatform.domain.metrics import Metric
from abplatform.stats.moments import UnitMoments
from abplatform.stats.ratio import RatioSums, Undetermined, contrast

__all__ = ["fill_row", "sums_at"]

Row = TypeVar("Row", bound=SideRow)


def fill_row(
    row: Row, control: RatioSums, treatment: RatioSums, metric: Metric, *, alpha: float
) -> Row:
    """Return the row with the lift of these sums, or with the reason why there is none.

    Args:
        row: Says what it is about.
        control: Sums over the control's units.
        treatment: Sums over the treatment's units.
        metric: What is measured.
        alpha: Two-sided error rate of the interval.
    """
    row = replace(row, units_control=control.units, units_treatment=treatment.units)
    found = contrast(
        control, treatment, alpha=alpha, share=metric.name in SHARES, event=event_of(metric)
    )
    if isinstance(found, Undetermined):
        return replace(row, undetermined=found.reason)
    return replace(row, **relative_fields(found))


def sums_at(moments: UnitMoments, place: str) -> RatioSums:
    """Return a place's sums, all zero where the variant has no row there."""
    if place not in moments.places:
        return NOBODY
    return moments.ratio_sums(moments.places.index(place))
