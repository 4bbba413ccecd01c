"""One treatment against the control, slice by slice, and families of such comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from abplatform.analysis.scorecard.record import CupedFact, LiftEstimate
from abplatform.analysis.scorecard.totals import ALL, Slice, Totals
from abplatform.domain.experiment import Breakdown, Experiment
from abplatform.domain.metrics import Metric
from abplatform.stats.incremental import contrast_incremental
from abplatform.stats.ratio import RatioContrast, Undetermined, contrast

__all__ = [
    "SHARES",
    "Compared",
    "carry_over",
    "compare",
    "compare_levels",
    "event_of",
    "families",
    "fill",
    "relative_fields",
]

SHARES = frozenset({"ctr", "coverage", "match_rate"})
"""Metrics whose numerator counts trials of the denominator."""

_MONEY = 1e-6
"""Money is kept in millionths."""

_EVENTS = {
    "clicked_impressions": "click",
    "conversions": "conversion",
    "net_value_micros": "value",
    "cost_micros": "cost",
    "profit_micros": "profit",
    "shown": "shown_decision",
    "score_micros": "feedback",
    "matched_impressions": "matched_impression",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """A lift with the sums it came from.

    Args:
        lift: As the contract says.
        control: The control's slice.
        treatment: The treatment's slice.
        contrast: The test behind it, or why there is none.
        cut: The breakdown it belongs to, None for everything together.
        cuped: What an adjustment by pre-period totals did to the contrast, where one was asked for.
    """

    lift: LiftEstimate
    control: Slice
    treatment: Slice
    contrast: RatioContrast | Undetermined
    cut: Breakdown | None = None
    cuped: CupedFact | None = None

    @property
    def event_units(self) -> int:
        """Units with an event in the variant that has fewer of them; 0 where nobody knows."""
        sides = (self.control.sums, self.treatment.sums)
        return min(0 if isinstance(side, Undetermined) else side.k_units for side in sides)


def compare_levels(
    experiment: Experiment, totals: Totals, metrics: Sequence[Metric], breakdown: Breakdown | None
) -> list[Compared]:
    """Compare every treatment with the control in every metric and level.

    Args:
        experiment: Names the control, the treatments and alpha.
        totals: The sums of one breakdown.
        metrics: The order in which metrics are listed.
        breakdown: The cut, or None for everything together.
    """
    levels = totals.levels if breakdown else [ALL]
    return [
        compare(experiment, totals, metric, level=level, treatment=variant.name, cut=breakdown)
        for metric in metrics
        for variant in experiment.treatments
        for level in levels
    ]


def compare(
    experiment: Experiment,
    totals: Totals,
    metric: Metric,
    *,
    level: str,
    treatment: str,
    cut: Breakdown | None,
) -> Compared:
    """Compare one treatment with the control in one slice."""
    ours = totals.at(level, experiment.control.name, metric.name)
    theirs = totals.at(level, treatment, metric.name)
    result = _contrast(ours, theirs, metric, alpha=experiment.analysis.alpha)
    lift = LiftEstimate(
        metric=metric.name,
        category=level if cut and cut.by == "category" else None,
        breakdown=cut.by if cut else None,
        level=level if cut else None,
        control=experiment.control.name,
        treatment=treatment,
        units_control=ours.units,
        units_treatment=theirs.units,
        n_control=ours.n,
        n_treatment=theirs.n,
        k_control=ours.k,
        k_treatment=theirs.k,
        rate_control=ours.k / ours.n * metric.scale if ours.n else None,
        rate_treatment=theirs.k / theirs.n * metric.scale if theirs.n else None,
    )
    if metric.incremental:
        return Compared(_fill_return(lift, result), ours, theirs, result, cut)
    return Compared(fill(lift, result, scale=metric.scale), ours, theirs, result, cut)


def _contrast(
    control: Slice, treatment: Slice, metric: Metric, *, alpha: float
) -> RatioContrast | Undetermined:
    if isinstance(control.sums, Undetermined):
        return control.sums
    if isinstance(treatment.sums, Undetermined):
        return treatment.sums
    if metric.incremental:
        return contrast_incremental(control.sums, treatment.sums, alpha=alpha)
    return contrast(
        control.sums,
        treatment.sums,
        alpha=alpha,
        share=metric.name in SHARES,
        event=event_of(metric),
        inflation=(control.inflation, treatment.inflation),
    )


def fill(lift: LiftEstimate, result: RatioContrast | Undetermined, *, scale: float) -> LiftEstimate:
    """Return a lift with what its test says, whatever it said before.

    Args:
        lift: Names the slice.
        result: The test, or why there is none.
        scale: Multiplies rates and differences for people.
    """
    if isinstance(result, Undetermined):
        return replace(
            lift,
            absolute_lift=None,
            se_absolute=None,
            relative_lift=None,
            ci_low=None,
            ci_high=None,
            p_value=None,
            log10_p=None,
            design_effect=None,
            undetermined=result.reason,
        )
    return replace(
        lift,
        absolute_lift=result.absolute_lift * scale,
        se_absolute=result.se_absolute * scale,
        log10_p=result.log10_p,
        design_effect=result.design_effect,
        **relative_fields(result),
    )


def relative_fields(result: RatioContrast) -> dict[str, Any]:
    """Return what every row about a contrast says of its relative lift.

    Returns:
        ``relative_lift``, ``ci_low``, ``ci_high``, ``p_value``, and ``undetermined`` with the
        reason where one of them is None.
    """
    relative, interval = result.relative_lift, result.relative
    return {
        "relative_lift": None if isinstance(relative, Undetermined) else relative,
        "ci_low": None if isinstance(interval, Undetermined) else interval.low,
        "ci_high": None if isinstance(interval, Undetermined) else interval.high,
        "p_value": result.p_value,
        "undetermined": _first_reason(relative, interval),
    }


def _fill_return(lift: LiftEstimate, result: RatioContrast | Undetermined) -> LiftEstimate:
    """Fill a return on extra cost: the control has none, and the difference is profit per unit."""
    lift = fill(replace(lift, rate_control=None, rate_treatment=None), result, scale=_MONEY)
    beyond = lift.relative_lift
    return lift if beyond is None else replace(lift, rate_treatment=beyond + 1)


def _first_reason(*values: object) -> str | None:
    return next((value.reason for value in values if isinstance(value, Undetermined)), None)


def families(
    compared: Iterable[Compared],
) -> dict[tuple[str, Breakdown | None, str], list[Compared]]:
    """Group comparisons into families: one per metric, breakdown and treatment.

    Two depths of the category path are two breakdowns. Without a breakdown there is one comparison
    per treatment, and those form one family.
    """
    grouped: dict[tuple[str, Breakdown | None, str], list[Compared]] = {}
    for one in compared:
        treatment = one.lift.treatment if one.cut else ""
        grouped.setdefault((one.lift.metric, one.cut, treatment), []).append(one)
    return grouped


def carry_over(shown: Sequence[Compared], judged: Sequence[Compared]) -> tuple[LiftEstimate, ...]:
    """Return the lifts shown with what the judged ones decided.

    Args:
        shown: Of every row asked for.
        judged: Of the rows that a verdict rests on.
    """
    decided = {_place(one): one.lift for one in judged}
    lifts = []
    for one in shown:
        ruling = decided.get(_place(one))
        if ruling is None:
            lifts.append(one.lift)
            continue
        lifts.append(
            replace(one.lift, p_adjusted=ruling.p_adjusted, significant=ruling.significant)
        )
    return tuple(lifts)


def event_of(metric: Metric) -> str:
    """Return the word for what the metric's numerator counts, for reasons."""
    return _EVENTS.get(metric.numerator, "event")


def _place(one: Compared) -> tuple[str, Breakdown | None, str | None, str]:
    return one.lift.metric, one.cut, one.lift.level, one.lift.treatment
