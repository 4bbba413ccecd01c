"""The overall contrasts of the primary metric, adjusted by what units did before the experiment.

Only the primary metric is adjusted, overall and at its looks: clicks per impression, conversions
per click and kin, whatever pre-period totals explain of them. Guardrails, categories and other cuts
keep their raw contrasts. The adjusted contrast takes the raw one's place; there are never two. The
rates shown in a lift stay k/n, as counted; the adjusted ones stand in the scorecard's ``cuped``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from abplatform.analysis.scorecard.histories import History, Known, with_history
from abplatform.analysis.scorecard.lifts import SHARES, Compared, event_of, fill
from abplatform.analysis.scorecard.record import CupedFact, Warned
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.totals import Slice
from abplatform.domain.metrics import METRICS, Metric
from abplatform.logs.store.answering import Store
from abplatform.stats.cuped import (
    MIN_UNITS,
    UNBALANCED_P,
    Adjustment,
    adjust_rates,
    contrast_adjusted,
    variance_reduction,
)
from abplatform.stats.moments import Counts, UnitMoments
from abplatform.stats.ratio import Undetermined

__all__ = ["adjust_overall", "adjust_with", "note_adjustment"]


def adjust_overall(
    warehouse: Store, scope: Scope, compared: Sequence[Compared], history: History | None
) -> list[Compared]:
    """Put the adjusted contrasts of the primary metric in place of the raw overall ones.

    Args:
        warehouse: The open store.
        scope: Which rows count; those that were compared.
        compared: Every comparison.
        history: The pre-period totals; None leaves everything as it is.

    Returns:
        Every comparison in the same order; those of the primary metric overall say in ``cuped``
        what was done, or why nothing was.
    """
    metric = METRICS[scope.experiment.primary.metric]
    chosen = [one for one in compared if one.cut is None and one.lift.metric == metric.name]
    if history is None or not chosen:
        return list(compared)
    reason = _why_not(scope, chosen)
    if reason is not None:
        unadjusted = CupedFact(metric.name, "", {}, None, 0, reason=reason)
        told = {
            one.lift.treatment: replace(
                one, cuped=replace(unadjusted, treatment=one.lift.treatment)
            )
            for one in chosen
        }
    else:
        told = _adjust(warehouse, scope, chosen, metric=metric, history=history)
    return [told[one.lift.treatment] if one in chosen else one for one in compared]


def _adjust(
    warehouse: Store,
    scope: Scope,
    chosen: Sequence[Compared],
    *,
    metric: Metric,
    history: History,
) -> dict[str, Compared]:
    slices = {one.lift.control: one.control for one in chosen}
    slices |= {one.lift.treatment: one.treatment for one in chosen}
    moments, known = with_history(
        warehouse,
        scope,
        metric,
        moments={name: _together(part) for name, part in slices.items()},
        history=history,
        place="all",
    )
    found = adjust_with(moments, history=history, known=known[-1])
    told = {}
    for one in chosen:
        fact = _fact(
            found, moments, one, history=history, known=sum(known[-1].values()), scale=metric.scale
        )
        swapped = one
        if found.theta:
            alpha = scope.experiment.analysis.alpha
            swapped = _adjusted(found, moments, one, metric=metric, alpha=alpha)
        told[one.lift.treatment] = replace(swapped, cuped=fact)
    return told


def adjust_with(
    moments: Mapping[str, UnitMoments], *, history: History, known: Known, place: int = -1
) -> Adjustment:
    """Adjust rates by a history, unless too few units have one or variants do not have it alike.

    A unit without a history counts as one that did nothing, which is fair as long as histories
    are missing alike; where one variant does not log them, that would be a lift of its own.

    Args:
        moments: With the covariates, of :func:`with_history`.
        history: The pre-period totals.
        known: How many units of each variant up to that place have a history.
        place: Up to which place totals count.
    """
    units = {name: one.counts[place].units for name, one in moments.items()}
    reason = _why_no_history(known, units)
    if reason is None:
        return adjust_rates(moments, covariates=history.covariates, place=place)
    return replace(adjust_rates(moments, covariates=(), place=place, theta={}), reason=reason)


def _why_no_history(known: Known, units: Mapping[str, int]) -> str | None:
    total, whole = sum(known.values()), sum(units.values())
    if total < MIN_UNITS:
        return (
            f"few_units_with_history: {total:,} units have pre-period totals, {MIN_UNITS} are "
            "needed"
        )
    share, present = total / whole, {name: size for name, size in units.items() if size}
    if share == 1 or len(present) < 2:
        return None
    from scipy.special import chdtrc

    apart = {name: (known[name] - share * size) ** 2 / size for name, size in present.items()}
    p_value = float(chdtrc(len(present) - 1, sum(apart.values()) / (share * (1 - share))))
    if p_value >= UNBALANCED_P:
        return None
    told = ", ".join(f"{known[name] / size:.1%} of {name}" for name, size in present.items())
    return (
        f"history_differs: {told} have pre-period totals (p = {p_value:.2g}), so they are not "
        "logged alike and adjust nothing"
    )


def note_adjustment(compared: Sequence[Compared]) -> list[Warned]:
    """Say which lifts are adjusted, or why none is although the YAML asks for it.

    Args:
        compared: Every comparison, adjusted.
    """
    notes = []
    for fact in (one.cuped for one in compared if one.cuped is not None):
        name = f"{fact.metric} of {fact.treatment}"
        if fact.theta and fact.variance_reduction is not None:
            text = (
                f"the overall lift of {name} is adjusted for what "
                f"{fact.units_with_history:,} units did before, which takes "
                f"{fact.variance_reduction:.0%} off its variance; the rates beside it are as "
                "counted, the adjusted ones stand in cuped"
            )
            notes.append(Warned("cuped_adjusted", text))
        if fact.reason is not None:
            notes.append(Warned("cuped_reduced", f"cuped of {name}: {fact.reason}"))
    return notes


def _why_not(scope: Scope, chosen: Sequence[Compared]) -> str | None:
    metric = METRICS[scope.experiment.primary.metric]
    if metric.incremental:
        return f"not_a_rate: {metric.name} compares differences of totals, not rates of a variant"
    if scope.by_event:
        return "request_has_no_past: with unit: request_id each impression stands alone"
    sides = [side.sums for one in chosen for side in (one.control, one.treatment)]
    return next((sums.reason for sums in sides if isinstance(sums, Undetermined)), None)


def _together(part: Slice) -> UnitMoments:
    """Return a slice's sums as moments of one place."""
    sums = part.sums
    if isinstance(sums, Undetermined):
        raise TypeError(sums.reason)
    products = np.array(
        [
            [sums.kk, sums.kn, sums.k],
            [sums.kn, sums.nn, sums.n],
            [sums.k, sums.n, sums.units],
        ],
        dtype=object,
    )
    return UnitMoments(
        kinds=("k", "n", "u"),
        places=("",),
        sums=np.array([[sums.k], [sums.n], [sums.units]], dtype=object),
        products=products.reshape(3, 1, 3, 1),
        counts=(Counts(sums.units, sums.n_units, sums.k_units),),
    )


def _adjusted(
    found: Adjustment,
    moments: Mapping[str, UnitMoments],
    one: Compared,
    *,
    metric: Metric,
    alpha: float,
) -> Compared:
    result = contrast_adjusted(
        found,
        moments,
        control=one.lift.control,
        treatment=one.lift.treatment,
        alpha=alpha,
        share=metric.name in SHARES,
        event=event_of(metric),
    )
    return replace(one, lift=fill(one.lift, result, scale=metric.scale), contrast=result)


def _fact(
    found: Adjustment,
    moments: Mapping[str, UnitMoments],
    one: Compared,
    *,
    history: History,
    known: int,
    scale: float,
) -> CupedFact:
    control, treatment = one.lift.control, one.lift.treatment
    gain = variance_reduction(found, moments, control=control, treatment=treatment)
    called = dict(zip(history.covariates, history.names, strict=True))
    rates = {
        name: float(found.rates[name].value) * scale if name in found.rates else None
        for name in (control, treatment)
    }
    return CupedFact(
        metric=one.lift.metric,
        treatment=treatment,
        theta={called[name]: value * history.scale * scale for name, value in found.theta.items()},
        variance_reduction=None if isinstance(gain, Undetermined) else gain,
        units_with_history=known,
        rate_control=rates[control],
        rate_treatment=rates[treatment],
        reason=gain.reason if isinstance(gain, Undetermined) else _speak(found.reason, called),
    )


def _speak(reason: str | None, called: Mapping[str, str]) -> str | None:
    """Call the covariates what people call them."""
    for name, word in called.items():
        reason = reason.replace(name, word) if reason else None
    return reason
