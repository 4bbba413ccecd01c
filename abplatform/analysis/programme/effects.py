"""Ended experiments together: what each lift is worth, and what shipping has brought.

A shipped lift was chosen because it looked good, so it looks better than it is (the winner's
curse), and the sum of shipped lifts is too good to be true. Log-lifts of one metric are shrunk
towards their common mean by a random-effects meta-analysis over every ended experiment, shipped or
not; under that model a shrunken lift may be chosen afterwards, and sums of them keep their meaning.

The error of a log-lift is read off its Fieller interval, (log(1 + high) - log(1 + low)) / 2c, so
that it is that of the very test the scorecard shows, by units or by reports. Treatments of one
experiment share their control; their covariance is the control's part of the error, by its share of
events.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abplatform.analysis.programme.record import EndedRow, Impact
from abplatform.analysis.scorecard import LiftEstimate, Scorecard
from abplatform.domain.experiment import State, Verdict
from abplatform.stats.meta import Block, MetaFit, fit_meta, shrink_blocks
from abplatform.stats.ratio import Undetermined, normal_critical_value
from abplatform.traffic.registry import RegisteredExperiment

__all__ = ["MeasuredEnd", "ended_of", "is_invalid", "list_ended", "measure_impact"]


@dataclass(frozen=True, slots=True)
class MeasuredEnd:
    """A treatment of an ended experiment with what the meta-analysis needs of it.

    Args:
        row: What is shown.
        log_lift: log(1 + lift); None where it cannot be used.
        variance: Of the log-lift.
        control_share: Share of the variance that comes from the control.
    """

    row: EndedRow
    log_lift: float | None = None
    variance: float = 0.0
    control_share: float = 0.0


def is_invalid(registered: RegisteredExperiment, scorecard: Scorecard) -> bool:
    """Whether nothing can be learnt: it was called invalid, or its split is broken."""
    decision = scorecard.decision
    return Verdict.INVALID in {registered.verdict, decision.verdict if decision else None}


def list_ended(registered: RegisteredExperiment, scorecard: Scorecard) -> list[MeasuredEnd]:
    """Return one entry per treatment of an ended experiment.

    Args:
        registered: As the journal knows it.
        scorecard: Judged, from final rows.
    """
    metric = registered.experiment.primary.metric
    lifts = [lift for lift in scorecard.lifts if lift.metric == metric and lift.breakdown is None]
    return [_measure(registered, scorecard, lift) for lift in lifts]


def measure_impact(
    ends: Sequence[MeasuredEnd], *, alpha: float = 0.05
) -> tuple[list[EndedRow], list[Impact]]:
    """Shrink the lifts of each metric and add up what was shipped.

    Args:
        ends: Treatments of ended experiments, any metric.
        alpha: Two-sided error rate of the intervals.

    Returns:
        The rows in the order given, shrunken where that can be done, and one impact per metric.
    """
    rows = [end.row for end in ends]
    impacts = []
    for metric in dict.fromkeys(row.metric for row in rows):
        places = [
            place
            for place, end in enumerate(ends)
            if end.row.metric == metric and end.log_lift is not None
        ]
        usable = [ends[place] for place in places]
        shrunken, impact = _shrink(metric, usable, alpha=alpha)
        impacts.append(impact)
        for place, row in zip(places, shrunken, strict=True):
            rows[place] = row
    return rows, impacts


def _measure(
    registered: RegisteredExperiment, scorecard: Scorecard, lift: LiftEstimate
) -> MeasuredEnd:
    verdict, decision = registered.verdict, scorecard.decision
    own = decision.by_treatment.get(lift.treatment) if decision else None
    primary = registered.experiment.primary
    better = (lift.absolute_lift or 0.0) > 0
    row = EndedRow(
        experiment=registered.key,
        treatment=lift.treatment,
        metric=lift.metric,
        state=registered.state.value,
        verdict=verdict.value if verdict else None,
        shipped=verdict is Verdict.SHIP
        and (own is Verdict.SHIP or len(registered.experiment.treatments) == 1),
        won=lift.significant and better == (primary.direction == "increase"),
        started_at=registered.started_at or scorecard.first_at,
        ended_at=registered.ended_at or scorecard.last_at,
        units=lift.units_control + lift.units_treatment,
        relative_lift=lift.relative_lift,
        ci_low=lift.ci_low,
        ci_high=lift.ci_high,
        undetermined=lift.undetermined,
    )
    if is_invalid(registered, scorecard):
        reason = "invalid: units did not arrive in the planned shares, so no lift can be trusted"
        return MeasuredEnd(replace(row, won=False, shipped=False, undetermined=reason))
    return _with_error(row, lift, alpha=registered.experiment.analysis.alpha)


def _with_error(row: EndedRow, lift: LiftEstimate, *, alpha: float) -> MeasuredEnd:
    low, high, middle = lift.ci_low, lift.ci_high, lift.relative_lift
    if low is None or high is None or middle is None or min(low, middle) <= -1:
        reason = row.undetermined or "no_logarithm: the interval reaches a rate of zero"
        return MeasuredEnd(replace(row, undetermined=reason))
    width = math.log1p(high) - math.log1p(low)
    deviation = width / (2 * normal_critical_value(alpha))
    if deviation <= 0:
        reason = "no_variance: the interval has no width"
        return MeasuredEnd(replace(row, undetermined=reason))
    theirs, ours = abs(lift.k_treatment), abs(lift.k_control)
    return MeasuredEnd(
        row,
        log_lift=math.log1p(middle),
        variance=deviation**2,
        control_share=theirs / (theirs + ours) if theirs + ours else 0.5,
    )


def _blocks(ends: Sequence[MeasuredEnd]) -> list[Block]:
    """One block an experiment: its treatments share a control."""
    grouped: dict[str, list[MeasuredEnd]] = {}
    for end in ends:
        grouped.setdefault(end.row.experiment, []).append(end)
    blocks = []
    for mine in grouped.values():
        shared = min(end.variance * end.control_share for end in mine)
        covariance = np.full((len(mine), len(mine)), 0.95 * shared)
        np.fill_diagonal(covariance, [end.variance for end in mine])
        blocks.append(Block(np.array([end.log_lift for end in mine], dtype=float), covariance))
    return blocks


def _shrink(
    metric: str, ends: Sequence[MeasuredEnd], *, alpha: float
) -> tuple[list[EndedRow], Impact]:
    shipped = np.array([float(end.row.shipped) for end in ends])
    logs = np.array([end.log_lift or 0.0 for end in ends])
    raw = math.expm1(float(shipped @ logs)) if shipped.any() else None
    impact = Impact(metric, len(ends), int(shipped.sum()), raw_total=raw)
    blocks = _blocks(ends)
    fit = fit_meta(blocks)
    if isinstance(fit, Undetermined):
        return [end.row for end in ends], replace(impact, undetermined=_too_few(len(ends)))
    shrunken = shrink_blocks(blocks, fit)
    rows = []
    for place, end in enumerate(ends):
        interval = shrunken.interval(place, alpha=alpha)
        rows.append(
            replace(
                end.row,
                shrunken_lift=math.expm1(shrunken.effects[place]),
                shrunken_low=math.expm1(interval.low),
                shrunken_high=math.expm1(interval.high),
            )
        )
    impact = _describe(impact, fit, alpha=alpha)
    if not shipped.any():
        return rows, impact
    total = shrunken.total(shipped, alpha=alpha)
    return rows, replace(
        impact,
        shrunken_total=math.expm1(float(shipped @ shrunken.effects)),
        shrunken_low=math.expm1(total.low),
        shrunken_high=math.expm1(total.high),
    )


def _describe(impact: Impact, fit: MetaFit, *, alpha: float) -> Impact:
    mean = fit.interval(alpha=alpha)
    return replace(
        impact,
        mean_lift=math.expm1(fit.coefficients[0]),
        mean_low=math.expm1(mean.low),
        mean_high=math.expm1(mean.high),
        spread=math.sqrt(fit.tau2),
        p_heterogeneity=fit.p_value,
    )


def _too_few(count: int) -> str:
    return (
        f"few_experiments: {count} measured {'lift' if count == 1 else 'lifts'}; how much true "
        "lifts differ is told from three on, so nothing is shrunk yet"
    )


def ended_of(registered: Mapping[str, RegisteredExperiment]) -> list[RegisteredExperiment]:
    """Return the experiments that were stopped or decided, in order of their end."""
    states = {State.STOPPED, State.DECIDED}
    return [one for one in registered.values() if one.state in states]
