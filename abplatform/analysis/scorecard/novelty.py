"""Novelty and primacy: does the lift change as units get used to a treatment?

Units that came back are followed from the day each was first seen: the lift on that day, on the two
after it, on days 3 to 6, and later. Units that were seen on one day only would fill the first row
with people of whom nothing later is known, so they are left out of every row. One unit stands in
several rows, so the rows' log-lifts y have a joint covariance V clustered by unit, and the trend is
the generalised-least-squares slope over the rows' numbers x = 0, 1, 2, 3:

    b = (x - x̄)'V⁻¹y / (x - x̄)'V⁻¹(x - x̄),   x̄ = 1'V⁻¹x / 1'V⁻¹1

tested against t with as many degrees of freedom as there are effective units with an event. A
falling lift is novelty wearing off, a rising one is learning (primacy).

The later a row, the more it is filled by units that come often. Where those respond otherwise than
rare ones do, the lift moves from row to row although nobody's response changes; the warning says
so.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from abplatform.analysis.scorecard.lifts import event_of
from abplatform.analysis.scorecard.moments import read_age_moments
from abplatform.analysis.scorecard.record import Warned
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.side_rows import fill_row, sums_at
from abplatform.analysis.scorecard.special_views import NoveltyRow, NoveltyTrend, NoveltyView
from abplatform.domain.metrics import METRICS
from abplatform.figures import percent
from abplatform.logs.store.answering import Store
from abplatform.stats.anytime import effect_e_value
from abplatform.stats.joint import JointLifts, joint_lifts
from abplatform.stats.moments import UnitMoments
from abplatform.stats.ratio import SMALL_SAMPLE_UNITS, Undetermined

__all__ = ["TREND_ALPHA", "TREND_SPREAD", "find_trend", "note_novelty", "view_novelty"]

TREND_ALPHA = 0.01
"""How often, over all days and treatments, a warning may come without a trend."""

TREND_SPREAD = 0.1
"""Trends of about 10 % from row to row are what is looked for."""

_STEPS = {"0": 0.0, "1-2": 1.0, "3-6": 2.0, "7+": 3.0}


def view_novelty(warehouse: Store, scope: Scope) -> NoveltyView | None:
    """Return the primary metric's lift by days since units were first seen, and its trend.

    Args:
        warehouse: The open store.
        scope: Which rows count.

    Returns:
        The view; None where each impression stands alone, or no unit came back.
    """
    if scope.by_event:
        return None
    experiment = scope.experiment
    metric = METRICS[experiment.primary.metric]
    moments = read_age_moments(warehouse, scope, metric)
    ours = moments[experiment.control.name]
    if len(ours.places) < 2:
        return None
    names = [variant.name for variant in experiment.treatments]
    rows = (
        fill_row(
            NoveltyRow(name, days, 0, 0),
            sums_at(ours, days),
            sums_at(moments[name], days),
            metric,
            alpha=experiment.analysis.alpha,
        )
        for name in names
        for days in ours.places
    )
    trends = (find_trend(name, ours, moments[name], event=event_of(metric)) for name in names)
    return NoveltyView(tuple(rows), tuple(trends))


def note_novelty(view: NoveltyView | None) -> list[Warned]:
    """Warn of trends that chance hardly brings."""
    trends = view.trends if view else ()
    return [
        Warned("novelty_or_primacy", _sentence(trend))
        for trend in trends
        # A scorecard is read every day, which a p-value of a fixed horizon does not allow for.
        if trend.e_value is not None and trend.e_value >= len(trends) / TREND_ALPHA
    ]


def find_trend(
    treatment: str, control: UnitMoments, treated: UnitMoments, *, event: str = "click"
) -> NoveltyTrend:
    """Test whether the log-lift changes with the days since units were first seen.

    Args:
        treatment: The variant's name.
        control: Moments over the places 0, 1-2, 3-6 and 7+.
        treated: Likewise.
        event: What a numerator counts, for the reasons.
    """
    joint = joint_lifts(control, treated, event=event)
    kept = [] if isinstance(joint, Undetermined) else _well_filled(joint, control, treated)
    if isinstance(joint, Undetermined) or len(kept) < 2:
        reason = (
            f"few_{event}s: fewer than two rows have {SMALL_SAMPLE_UNITS} units with a {event} in "
            "both variants"
        )
        return NoveltyTrend(treatment, undetermined=reason)
    slope, deviation = _slope(joint, kept)
    if deviation <= 0:
        return NoveltyTrend(treatment, undetermined="no_variance: every unit has the same rates")
    from scipy.special import stdtr

    z = slope / deviation
    p = max(2 * float(stdtr(joint.effective_units, -abs(z))), sys.float_info.min)
    e_value = effect_e_value(p, se=deviation, spread=TREND_SPREAD)
    return NoveltyTrend(treatment, math.expm1(slope), z, p, e_value)


def _well_filled(joint: JointLifts, control: UnitMoments, treated: UnitMoments) -> list[int]:
    """Return the rows in which both variants have enough units for the normal to be close."""
    least = [
        min(sums_at(moments, name).k_units for moments in (control, treated))
        for name in joint.names
    ]
    return [at for at, units in enumerate(least) if units >= SMALL_SAMPLE_UNITS]


def _slope(joint: JointLifts, kept: list[int]) -> tuple[float, float]:
    """Return the generalised-least-squares slope and its standard error."""
    x = np.array([_STEPS[joint.names[at]] for at in kept])
    design = np.stack([np.ones_like(x), x], axis=1)
    covariance = joint.covariance[np.ix_(kept, kept)]
    weighted = np.linalg.pinv(covariance, hermitian=True) @ design
    inverse = np.linalg.pinv(design.T @ weighted, hermitian=True)
    slope = (inverse @ (weighted.T @ joint.log_lifts[kept]))[1]
    return float(slope), math.sqrt(max(float(inverse[1, 1]), 0.0))


def _sentence(trend: NoveltyTrend) -> str:
    step, p = trend.per_step or 0.0, trend.p_value or 0.0
    way = (
        "falls as units get used to it (novelty wears off), so the lift over all days promises "
        "more than will last"
        if step < 0
        else "rises as units get used to it (primacy), so the lift over all days promises less "
        "than will last"
    )
    return (
        f"the lift of {trend.treatment} {way}: {percent(step)} from one row of `novelty` to the "
        f"next, p = {p:.2g}; or units that come often respond otherwise than rare ones"
    )
