"""What the verdict rules may ask: wins, loses, within a worthwhile lift, guardrails.

Harm is watched for at every look (``harm.py``). That a guardrail holds, and that a lift is within
what is worth having, is asked once, at the look that decides, by the 90 % interval (two one-sided
tests).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from abplatform.analysis.scorecard.harm import COUNTED, find_harm
from abplatform.analysis.scorecard.lifts import Compared, event_of
from abplatform.analysis.scorecard.record import GuardrailFact, TreatmentFacts
from abplatform.analysis.scorecard.taken import TakenLook
from abplatform.domain.experiment import Experiment, Guardrail
from abplatform.domain.metrics import METRICS
from abplatform.figures import percent
from abplatform.stats.ratio import Interval, RatioContrast, Undetermined, rate_interval

__all__ = ["gather_facts", "open_facts"]

_EQUIVALENCE_ALPHA = 0.10
"""Two one-sided tests at 5 % are one two-sided interval at 90 %."""


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
        return _unknown(metric, one, interval.reason)
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
        share=metric in COUNTED,
        event=event_of(METRICS[metric]),
        inflation=one.treatment.inflation,
    )


def _within_margin(metric: str, one: Compared, *, margin: float) -> tuple[bool, str]:
    """Say whether the treatment loses no more than is tolerated."""
    interval = _relative(one, alpha=_EQUIVALENCE_ALPHA)
    if isinstance(interval, Undetermined):
        return _unknown(metric, one, interval.reason)
    rises = METRICS[metric].direction == "increase"
    holds = interval.low >= -margin if rises else interval.high <= margin
    sentence = (
        f"guardrail {metric}: lift between {percent(interval.low)} and {percent(interval.high)}, "
        f"a loss of {margin:.1%} is tolerated"
    )
    return holds, sentence


def _unknown(metric: str, one: Compared, reason: str) -> tuple[bool, str]:
    return False, f"guardrail {metric} cannot be judged ({_why(one, reason)})"


def _why(one: Compared, reason: str | None) -> str | None:
    """Return why there is no number; what is judged are final rows alone."""
    return reason if one.control.units or one.treatment.units else "no row is final yet"


def _relative(one: Compared, *, alpha: float) -> Interval | Undetermined:
    if isinstance(one.contrast, RatioContrast):
        return one.contrast.relative_interval(alpha=alpha)
    return one.contrast


def _sentence(one: Compared, look: TakenLook | None, *, within: bool, mde: float | None) -> str:
    lift = one.lift
    if look is not None and look.row.skipped:
        return f"{lift.metric} of {lift.treatment} cannot be judged ({_why(one, look.row.skipped)})"
    if lift.relative_lift is None or lift.p_value is None:
        why = _why(one, lift.undetermined)
        return f"{lift.metric} of {lift.treatment} cannot be judged ({why})"
    low, high, relative = lift.ci_low, lift.ci_high, lift.relative_lift
    p: float | None = lift.p_adjusted if lift.p_adjusted is not None else lift.p_value
    kind = "interval"
    if look is not None and look.relative_lift is not None:
        # Of a log from elsewhere the rest is judged on all of it, the primary metric by its look.
        relative = look.relative_lift
    if look is not None and look.sequential_p is not None:
        low, high, p = look.sequential_low, look.sequential_high, look.sequential_p
        kind = "sequential interval"
    elif look is not None and look.row.alpha_spent is None and look.anytime_low is not None:
        # The confidence sequence decides: a plan of its own, which spends nothing.
        low, high = look.anytime_low, look.anytime_high
        kind, p = "always valid interval", None
    interval = (
        f"{percent(low)} to {percent(high)}"
        if low is not None and high is not None
        else "unbounded"
    )
    text = (
        f"{lift.metric} of {lift.treatment} against {lift.control}: {percent(relative)}, "
        f"{kind} {interval}"
    )
    if p is not None:
        # A sequential p-value is only searched for below 0.6.
        text += f", p = {p:.2g}" if p < 1 else ", p above 0.6"
    if within and mde is not None:
        text += f", within {mde:.1%} of the control either way"
    return text
