"""What the verdict rules may ask: wins, loses, within a worthwhile lift, guardrails.

Harm is watched for at every look, so its proof has to hold at all looks at once: a one-sided bound
of a confidence sequence. That a guardrail holds, and that a lift is within what is worth having, is
asked once, at the look that decides, by the 90 % interval (two one-sided tests).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from abplatform.analysis.scorecard.lifts import SHARES, Compared, event_of
from abplatform.analysis.scorecard.record import GuardrailFact, TreatmentFacts
from abplatform.analysis.scorecard.taken import TakenLook
from abplatform.domain.experiment import Experiment, Guardrail
from abplatform.domain.metrics import METRICS
from abplatform.figures import percent
from abplatform.stats.anytime import (
    ANYTIME_EVENT_UNITS,
    anytime_bound,
    mixture_variance,
    one_sided_log_e,
)
from abplatform.stats.ratio import (
    Interval,
    RatioContrast,
    RatioSums,
    Undetermined,
    rate_interval,
)
from abplatform.stats.sequential import fixed_information

__all__ = ["HARM_ALPHA", "find_harm", "gather_facts", "open_facts", "watch_guardrails"]

HARM_ALPHA = 0.025
"""One-sided error with which any guardrail is ever called harmed; they share it."""

_COUNTED = SHARES | {"cvr", "ctcvr"}
"""Metrics whose numerator counts events and hardly ever exceeds the denominator."""

_EQUIVALENCE_ALPHA = 0.10
"""Two one-sided tests at 5 % are one two-sided interval at 90 %."""

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
        provisional: Whether conversions may still come in. They are missing from both variants
            alike, but a rate of them lies below its absolute bound until they have come.
    """
    overall = [one for one in compared if one.cut is None and one.lift.treatment == treatment]
    found = {}
    for guardrail in experiment.guardrails:
        if provisional and METRICS[guardrail.metric].needs_conversions:
            guardrail = replace(guardrail, min=None)  # noqa: PLW2901 - what is left of it
            if guardrail.non_inferiority_margin is None:
                continue
        one = next((one for one in overall if one.lift.metric == guardrail.metric), None)
        told = _harm_of(guardrail, one, share=len(experiment.guardrails)) if one else None
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


def gather_facts(
    experiment: Experiment, judged: Sequence[Compared], look: TakenLook | None = None
) -> tuple[TreatmentFacts, ...]:
    """Turn judged comparisons into facts, overall first and then by category.

    Args:
        experiment: Names the primary metric, the guardrails and the smallest lift worth having.
        judged: Comparisons of final rows with ``significant`` set.
        look: The look that decided about its treatment, whose answer the overall fact takes; None
            where all treatments are judged by ``significant`` alone.
    """
    overall = [one for one in judged if one.lift.breakdown is None]
    guards = {
        variant.name: tuple(
            _guardrail_fact(
                guardrail,
                overall,
                variant.name,
                harmed=look.harmed if look else find_harm(experiment, overall, variant.name),
            )
            for guardrail in experiment.guardrails
        )
        for variant in experiment.treatments
        if look is None or variant.name == look.treatment
    }
    return tuple(
        _treatment_facts(experiment, one, guards[one.lift.treatment], look)
        for one in judged
        if one.lift.metric == experiment.primary.metric
        and one.lift.breakdown in {None, "category"}
        and one.lift.treatment in guards
    )


def open_facts(treatment: str, sentence: str, harmed: Mapping[str, str]) -> TreatmentFacts:
    """Return the facts of a treatment that no look has decided about: only harm is proven.

    Args:
        treatment: The variant.
        sentence: What is waited for.
        harmed: Guardrails that are harmed, with the numbers.
    """
    return TreatmentFacts(
        treatment=treatment,
        category=None,
        wins=False,
        loses=False,
        within_mde=False,
        sentence=f"{treatment}: {sentence}",
        guardrails=tuple(
            GuardrailFact(metric, holds=False, harmed=True, sentence=told)
            for metric, told in harmed.items()
        ),
        decided=False,
    )


def _treatment_facts(
    experiment: Experiment,
    one: Compared,
    guardrails: tuple[GuardrailFact, ...],
    look: TakenLook | None,
) -> TreatmentFacts:
    lift, sign = one.lift, 1 if experiment.primary.direction == "increase" else -1
    decisive, difference = lift.significant, lift.absolute_lift or 0.0
    if look is not None and one.cut is None:
        decisive, difference = look.row.crossed, look.row.z or 0.0
    mde = experiment.primary.mde
    interval = _relative(one, alpha=_EQUIVALENCE_ALPHA)
    within = (
        isinstance(interval, Interval)
        and mde is not None
        and (-mde <= interval.low and interval.high <= mde)
    )
    return TreatmentFacts(
        treatment=lift.treatment,
        category=lift.category,
        wins=decisive and sign * difference > 0,
        loses=decisive and sign * difference < 0,
        within_mde=within,
        sentence=_sentence(one, look if one.cut is None else None, within=within, mde=mde),
        guardrails=guardrails,
    )


def _guardrail_fact(
    guardrail: Guardrail, overall: Iterable[Compared], treatment: str, *, harmed: Mapping[str, str]
) -> GuardrailFact:
    one = next(
        one
        for one in overall
        if one.lift.metric == guardrail.metric and one.lift.treatment == treatment
    )
    margin, bounds = guardrail.non_inferiority_margin, []
    if guardrail.min is not None:
        bounds.append(_above_least(guardrail.metric, one, bound=guardrail.min))
    if margin is not None or not bounds:
        bounds.append(_within_margin(guardrail.metric, one, margin=margin or 0.0))
    told = harmed.get(guardrail.metric)
    return GuardrailFact(
        metric=guardrail.metric,
        holds=all(holds for holds, _ in bounds) and told is None,
        harmed=told is not None,
        sentence="; ".join([*(sentence for _, sentence in bounds), *([told] if told else [])]),
    )


def _above_least(metric: str, one: Compared, *, bound: float) -> tuple[bool, str]:
    """Say whether the treatment's rate is at least the bound."""
    interval = _rate_of_treatment(metric, one)
    if isinstance(interval, Undetermined):
        return _unknown(metric, interval.reason)
    scale = METRICS[metric].scale
    low, high = interval.low * scale, interval.high * scale
    sentence = (
        f"guardrail {metric}: between {low:.4g} and {high:.4g}, at least {bound:.4g} is required"
    )
    return low >= bound, sentence


def _rate_of_treatment(metric: str, one: Compared) -> Interval | Undetermined:
    if METRICS[metric].incremental:
        # Its rate is the return on what the treatment cost beyond the control; 1 breaks even.
        beyond = _relative(one, alpha=_EQUIVALENCE_ALPHA)
        return beyond.shifted(1.0) if isinstance(beyond, Interval) else beyond
    if isinstance(one.treatment.sums, Undetermined):
        return one.treatment.sums
    return rate_interval(
        one.treatment.sums,
        alpha=_EQUIVALENCE_ALPHA,
        share=metric in _COUNTED,
        event=event_of(METRICS[metric]),
        inflation=one.treatment.inflation,
    )


def _within_margin(metric: str, one: Compared, *, margin: float) -> tuple[bool, str]:
    """Say whether the treatment loses no more than is tolerated."""
    interval = _relative(one, alpha=_EQUIVALENCE_ALPHA)
    if isinstance(interval, Undetermined):
        return _unknown(metric, interval.reason)
    rises = METRICS[metric].direction == "increase"
    holds = interval.low >= -margin if rises else interval.high <= margin
    sentence = (
        f"guardrail {metric}: lift between {percent(interval.low)} and {percent(interval.high)}, "
        f"a loss of {margin:.1%} is tolerated"
    )
    return holds, sentence


def _unknown(metric: str, reason: str) -> tuple[bool, str]:
    return False, f"guardrail {metric} cannot be judged ({reason})"


def _harm_of(guardrail: Guardrail, one: Compared, *, share: int) -> str | None:
    alpha = HARM_ALPHA / share
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
        event_units=_event_units(one),
        alpha=alpha,
        tau2=tau2,
        side="high" if rises else "low",
    )
    if isinstance(bound, Undetermined):
        return None
    if bound >= -margin if rises else bound <= margin:
        return None
    word = "at most" if rises else "at least"
    return f"its lift is {word} {percent(bound)} whenever one looks, {margin:.1%} is tolerated"


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
            sums, least, share=metric.name in _COUNTED, inflation=one.treatment.inflation
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
    if least <= 0 or variance <= 0 or _event_units(one) < ANYTIME_EVENT_UNITS:
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


def _event_units(one: Compared) -> int:
    sides = (one.control.sums, one.treatment.sums)
    return min(0 if isinstance(side, Undetermined) else side.k_units for side in sides)


def _relative(one: Compared, *, alpha: float) -> Interval | Undetermined:
    if isinstance(one.contrast, RatioContrast):
        return one.contrast.relative_interval(alpha=alpha)
    return one.contrast


def _sentence(one: Compared, look: TakenLook | None, *, within: bool, mde: float | None) -> str:
    lift = one.lift
    if look is not None and look.row.skipped:
        return f"{lift.metric} of {lift.treatment} cannot be judged ({look.row.skipped})"
    if lift.relative_lift is None or lift.p_value is None:
        return f"{lift.metric} of {lift.treatment} cannot be judged ({lift.undetermined})"
    low, high = lift.ci_low, lift.ci_high
    p = lift.p_adjusted if lift.p_adjusted is not None else lift.p_value
    kind = "interval"
    if look is not None and look.sequential_p is not None:
        low, high, p = look.sequential_low, look.sequential_high, look.sequential_p
        kind = "sequential interval"
    interval = (
        f"{percent(low)} to {percent(high)}"
        if low is not None and high is not None
        else "unbounded"
    )
    text = (
        f"{lift.metric} of {lift.treatment} against {lift.control}: {percent(lift.relative_lift)}, "
        f"{kind} {interval}, p = {p:.2g}"
    )
    if within and mde is not None:
        text += f", within {mde:.1%} of the control either way"
    return text
