"""Harm: guardrails proven to be beyond their bound, whenever and however often one looks.

A bound is watched at every look and on everything that comes in, so its proof has to hold at all
moments at once: a one-sided confidence sequence, mixed over the harm that may be there. All bounds
of an experiment share one error rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from abplatform.analysis.scorecard.lifts import SHARES, Compared
from abplatform.domain.experiment import Experiment, Guardrail
from abplatform.domain.metrics import METRICS, Metric
from abplatform.figures import percent
from abplatform.stats.anytime import (
    ANYTIME_EVENT_UNITS,
    anytime_bound,
    mixture_variance,
    one_sided_critical_value,
    one_sided_log_e,
)
from abplatform.stats.ratio import RatioContrast, RatioSums, Undetermined
from abplatform.stats.sequential import fixed_information

__all__ = ["COUNTED", "HARM_ALPHA", "find_harm", "watch_guardrails"]

HARM_ALPHA = 0.025
"""One-sided error with which any guardrail is ever called harmed; they share it."""

COUNTED = SHARES | {"cvr", "ctcvr"}
"""Metrics whose numerator counts events and hardly ever exceeds the denominator."""

_TELLING_HARM = 0.2
"""The relative harm that sequences of guardrails are tuned to.

Rates of guardrails come from few events, and a sequence that is tuned to a smaller harm than the
data can show has next to no power, while one tuned to a larger harm loses little.
"""


def find_harm(
    experiment: Experiment,
    compared: Iterable[Compared],
    treatment: str,
    *,
    provisional: bool = False,
) -> dict[str, str]:
    """Return the guardrails that are proven to be harmed, whenever one looks, with the numbers.

    Args:
        experiment: Names the guardrails.
        compared: Comparisons without a breakdown.
        treatment: The variant.
        provisional: Whether clicks and conversions may still come in. They are missing from both
            variants alike, but a rate of them lies below its absolute bound until they have come.
    """
    overall = [one for one in compared if one.cut is None and one.lift.treatment == treatment]
    alpha = HARM_ALPHA / max(sum(_count_bounds(one) for one in experiment.guardrails), 1)
    found = {}
    for guardrail in experiment.guardrails:
        if provisional and _comes_late(METRICS[guardrail.metric]):
            guardrail = replace(guardrail, min=None)  # noqa: PLW2901 - what is left of it
            if guardrail.non_inferiority_margin is None:
                continue
        one = next((one for one in overall if one.lift.metric == guardrail.metric), None)
        told = _harm_of(guardrail, one, alpha=alpha) if one else None
        if told:
            found[guardrail.metric] = f"guardrail {guardrail.metric} is harmed: {told}"
    return found


def watch_guardrails(
    experiment: Experiment, compared: Sequence[Compared], *, provisional: bool
) -> dict[str, dict[str, str]]:
    """Return each harmed treatment's harmed guardrails, by everything that has come in.

    Args:
        experiment: Names treatments and guardrails.
        compared: Of every row asked for.
        provisional: As in :func:`find_harm`.
    """
    found = {
        variant.name: find_harm(experiment, compared, variant.name, provisional=provisional)
        for variant in experiment.treatments
    }
    return {name: harmed for name, harmed in found.items() if harmed}


def _comes_late(metric: Metric) -> bool:
    """Whether what a rate counts is logged after what it is divided by."""
    return metric.needs_conversions or metric.numerator == "clicked_impressions"


def _count_bounds(guardrail: Guardrail) -> int:
    """A guardrail with an absolute and a relative bound can be harmed in two ways."""
    return 2 if None not in {guardrail.min, guardrail.non_inferiority_margin} else 1


def _harm_of(guardrail: Guardrail, one: Compared, *, alpha: float) -> str | None:
    tau2 = mixture_variance(
        alpha=alpha,
        information=fixed_information(alpha=2 * alpha, power=0.8, mde=_TELLING_HARM),
        one_sided=True,
    )
    if guardrail.min is not None:
        told = _below_least(one, bound=guardrail.min, alpha=alpha, tau2=tau2)
        if told:
            return told
    if guardrail.non_inferiority_margin is None and guardrail.min is not None:
        return None
    margin = guardrail.non_inferiority_margin or 0.0
    return _beyond_margin(one, margin=margin, alpha=alpha, tau2=tau2)


def _beyond_margin(one: Compared, *, margin: float, alpha: float, tau2: float) -> str | None:
    """Say by how much at least the treatment is worse, where that is more than is tolerated."""
    rises = METRICS[one.lift.metric].direction == "increase"
    bound = anytime_bound(
        one.contrast,
        event_units=one.event_units,
        alpha=alpha,
        tau2=tau2,
        side="high" if rises else "low",
    )
    if isinstance(bound, Undetermined):
        return _collapse(one, margin=margin, alpha=alpha, tau2=tau2) if rises else None
    if bound >= -margin if rises else bound <= margin:
        return None
    word = "at most" if rises else "at least"
    return f"its lift is {word} {percent(bound)} whenever one looks, {margin:.1%} is tolerated"


def _collapse(one: Compared, *, margin: float, alpha: float, tau2: float) -> str | None:
    """Say that a share has all but vanished, where too few events are left for a ratio.

    The treatment's rate is held against what is tolerated of the control's least rate; both have
    half of the error.
    """
    ours, theirs = one.control.sums, one.treatment.sums
    if isinstance(ours, Undetermined) or isinstance(theirs, Undetermined) or not theirs.n:
        return None
    known = ours.k_units >= ANYTIME_EVENT_UNITS and ours.variance > 0
    if not known or one.lift.metric not in COUNTED:
        return None
    rate = ours.k / ours.n
    information = rate**2 / (ours.variance * one.control.inflation)
    critical = one_sided_critical_value(alpha=alpha / 2, x=information * tau2)
    least = (1 - margin) * rate * math.exp(-critical / math.sqrt(information))
    found = _distance_below(theirs, least, share=True, inflation=one.treatment.inflation)
    if found is None or found[0] <= 0:
        return None
    if one_sided_log_e(found[0], x=found[1] * tau2) < -math.log(alpha / 2):
        return None
    return f"{theirs.k:,} of {theirs.n:,} are left whenever one looks, {margin:.1%} is tolerated"


def _below_least(one: Compared, *, bound: float, alpha: float, tau2: float) -> str | None:
    """Say that the treatment's rate is below its least, where a sequence proves it."""
    sums, metric = one.treatment.sums, METRICS[one.lift.metric]
    if isinstance(sums, Undetermined) or not sums.n:
        return None
    least, rate = bound / metric.scale, sums.k / sums.n
    if metric.incremental:
        found = _return_below(one, least)
        rate = (one.lift.relative_lift or 0.0) + 1
    else:
        found = _distance_below(
            sums, least, share=metric.name in COUNTED, inflation=one.treatment.inflation
        )
    if found is None or found[0] <= 0:
        return None
    z, information = found
    if one_sided_log_e(z, x=information * tau2) < -math.log(alpha):
        return None
    return f"{rate * metric.scale:.4g} is below {bound:.4g} whenever one looks"


def _return_below(one: Compared, least: float) -> tuple[float, float] | None:
    """Return the same of a return on extra cost: how far value lies below least · cost."""
    found = one.contrast
    if not isinstance(found, RatioContrast) or isinstance(found.relative_lift, Undetermined):
        return None
    cost, variance = found.rate_control, found.treatment.variance
    variance += least**2 * found.control.variance - 2 * least * found.covariance
    if least <= 0 or variance <= 0 or one.event_units < ANYTIME_EVENT_UNITS:
        return None
    distance = (least * cost - found.rate_treatment) / math.sqrt(variance)
    return distance, (least * cost) ** 2 / variance


def _distance_below(
    sums: RatioSums, least: float, *, share: bool, inflation: float
) -> tuple[float, float] | None:
    """Return how far a rate lies below its least in standard errors, and its information.

    On the log scale; a share with too few successes for that gets the score statistic, as if each
    unit were all success or all failure: (Σn)²/Σn² independent trials at the least rate.
    """
    rate = sums.k / sums.n
    if sums.k_units >= ANYTIME_EVENT_UNITS and rate > 0 and sums.variance > 0 and least > 0:
        information = rate**2 / (sums.variance * inflation)
        return math.log(least / rate) * math.sqrt(information), information
    if share and sums.n_units >= ANYTIME_EVENT_UNITS and 0 <= rate <= 1 and 0 < least < 1:
        variance = least * (1 - least) * sums.nn / sums.n**2 * inflation
        return (least - rate) / math.sqrt(variance), least**2 / variance
    return None
