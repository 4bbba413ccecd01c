"""What the verdict rules may ask: wins, loses, within a worthwhile lift, guardrails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from abplatform.analysis.scorecard.lifts import SHARES, Compared, event_of
from abplatform.analysis.scorecard.record import GuardrailFact, TreatmentFacts
from abplatform.domain.experiment import Experiment, Guardrail
from abplatform.domain.metrics import METRICS
from abplatform.figures import percent
from abplatform.stats.ratio import Interval, Undetermined, rate_interval

__all__ = ["gather_facts"]

_COUNTED = SHARES | {"cvr", "ctcvr"}
"""Metrics whose numerator counts events and hardly ever exceeds the denominator."""

_EQUIVALENCE_ALPHA = 0.10
"""Two one-sided tests at 5 % are one two-sided interval at 90 %."""


def gather_facts(
    experiment: Experiment, compared: Sequence[Compared]
) -> tuple[TreatmentFacts, ...]:
    """Turn judged comparisons into facts, overall first and then by category.

    Args:
        experiment: Names the primary metric, the guardrails and the smallest lift worth having.
        compared: Comparisons of final rows with ``significant`` set.
    """
    overall = [one for one in compared if one.lift.breakdown is None]
    guards = {
        variant.name: tuple(
            _guardrail_fact(guardrail, overall, variant.name) for guardrail in experiment.guardrails
        )
        for variant in experiment.treatments
    }
    primary = [
        one
        for one in compared
        if one.lift.metric == experiment.primary.metric and one.lift.breakdown in {None, "category"}
    ]
    return tuple(_treatment_facts(experiment, one, guards[one.lift.treatment]) for one in primary)


def _treatment_facts(
    experiment: Experiment, one: Compared, guardrails: tuple[GuardrailFact, ...]
) -> TreatmentFacts:
    lift, sign = one.lift, 1 if experiment.primary.direction == "increase" else -1
    better = sign * (lift.absolute_lift or 0.0) > 0
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
        wins=lift.significant and better,
        loses=lift.significant and not better,
        within_mde=within,
        sentence=_sentence(one, within=within, mde=mde),
        guardrails=guardrails,
    )


def _guardrail_fact(
    guardrail: Guardrail, overall: Iterable[Compared], treatment: str
) -> GuardrailFact:
    one = next(
        one
        for one in overall
        if one.lift.metric == guardrail.metric and one.lift.treatment == treatment
    )
    margin, facts = guardrail.non_inferiority_margin, []
    if guardrail.min is not None:
        facts.append(_absolute_fact(guardrail.metric, one, bound=guardrail.min))
    if margin is not None or not facts:
        facts.append(_margin_fact(guardrail.metric, one, margin=margin or 0.0))
    return GuardrailFact(
        metric=guardrail.metric,
        holds=all(fact.holds for fact in facts),
        harmed=any(fact.harmed for fact in facts),
        sentence="; ".join(fact.sentence for fact in facts),
    )


def _absolute_fact(metric: str, one: Compared, *, bound: float) -> GuardrailFact:
    interval = _absolute(metric, one)
    if isinstance(interval, Undetermined):
        return _unknown(metric, interval.reason)
    scale = METRICS[metric].scale
    low, high = interval.low * scale, interval.high * scale
    return GuardrailFact(
        metric=metric,
        holds=low >= bound,
        harmed=high < bound,
        sentence=f"guardrail {metric}: between {low:.4g} and {high:.4g}, at least {bound:.4g} "
        f"is required",
    )


def _absolute(metric: str, one: Compared) -> Interval | Undetermined:
    if METRICS[metric].incremental:
        # Its rate is the return on what the treatment cost beyond the control.
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


def _margin_fact(metric: str, one: Compared, *, margin: float) -> GuardrailFact:
    interval = _relative(one, alpha=_EQUIVALENCE_ALPHA)
    if isinstance(interval, Undetermined):
        return _unknown(metric, interval.reason)
    if METRICS[metric].direction == "increase":
        holds, harmed = interval.low >= -margin, interval.high < -margin
    else:
        holds, harmed = interval.high <= margin, interval.low > margin
    return GuardrailFact(
        metric=metric,
        holds=holds,
        harmed=harmed,
        sentence=f"guardrail {metric}: lift between {percent(interval.low)} and "
        f"{percent(interval.high)}, a loss of {margin:.1%} is tolerated",
    )


def _unknown(metric: str, reason: str) -> GuardrailFact:
    return GuardrailFact(
        metric=metric,
        holds=False,
        harmed=False,
        sentence=f"guardrail {metric} cannot be judged ({reason})",
    )


def _relative(one: Compared, *, alpha: float) -> Interval | Undetermined:
    if isinstance(one.contrast, Undetermined):
        return one.contrast
    return one.contrast.relative_interval(alpha=alpha)


def _sentence(one: Compared, *, within: bool, mde: float | None) -> str:
    lift = one.lift
    if lift.relative_lift is None or lift.p_value is None:
        return f"{lift.metric} of {lift.treatment} cannot be judged ({lift.undetermined})"
    interval = (
        f"{percent(lift.ci_low)} to {percent(lift.ci_high)}"
        if lift.ci_low is not None and lift.ci_high is not None
        else "unbounded"
    )
    p = lift.p_adjusted if lift.p_adjusted is not None else lift.p_value
    text = (
        f"{lift.metric} of {lift.treatment} against {lift.control}: {percent(lift.relative_lift)}, "
    )
    text += f"interval {interval}, p = {p:.2g}"
    if within and mde is not None:
        text += f", within {mde:.1%} of the control either way"
    return text
