"""What to believe of the overall lifts: the Bayesian view beside the tests, not in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from abplatform.analysis.scorecard.lifts import Compared
from abplatform.analysis.scorecard.record import BayesFact
from abplatform.domain.experiment import Experiment
from abplatform.stats.bayes import (
    LOG_LIFT_SIGMA,
    PosteriorLift,
    beta_posterior,
    normal_posterior,
)
from abplatform.stats.ratio import Undetermined

__all__ = ["believe_lifts"]

_NORMAL = f"log-lift normal around 0 with standard deviation {LOG_LIFT_SIGMA}"
_JEFFREYS = "each rate Beta(1/2, 1/2)"


def believe_lifts(
    experiment: Experiment, compared: Sequence[Compared]
) -> tuple[list[Compared], tuple[BayesFact, ...]]:
    """Fill ``p_better`` of the lifts without a breakdown, and tell the primary metric's posteriors.

    Lifts by category get theirs from the shrinkage of categories, which knows the other ones.

    Args:
        experiment: Says what is better, and whether each impression stands alone.
        compared: Every comparison.

    Returns:
        The comparisons in the same order, and one fact per treatment.
    """
    told, facts = [], []
    for one in compared:
        if one.cut is not None:
            told.append(one)
            continue
        found = _believe(experiment, one)
        better = None if isinstance(found, Undetermined) else found.p_better
        told.append(replace(one, lift=replace(one.lift, p_better=better)))
        if one.lift.metric == experiment.primary.metric:
            facts.append(_fact(one, found))
    return told, tuple(facts)


def _believe(experiment: Experiment, one: Compared) -> PosteriorLift | Undetermined:
    metric = one.lift.metric
    if isinstance(one.contrast, Undetermined):
        return one.contrast
    increase = experiment.direction_of(metric) == "increase"
    alpha = experiment.analysis.alpha
    if experiment.unit == "request_id" and metric == "ctr":
        sides = [(side.k, side.n) for side in (one.control, one.treatment)]
        return beta_posterior(*sides, alpha=alpha, increase=increase)
    return normal_posterior(one.contrast, alpha=alpha, increase=increase)


def _fact(one: Compared, found: PosteriorLift | Undetermined) -> BayesFact:
    metric, treatment = one.lift.metric, one.lift.treatment
    if isinstance(found, Undetermined):
        return BayesFact(metric, treatment, undetermined=found.reason)
    return BayesFact(
        metric=metric,
        treatment=treatment,
        model=found.model,
        prior=_NORMAL if found.model == "normal" else _JEFFREYS,
        p_better=found.p_better,
        lift=found.median,
        credible_low=found.credible.low,
        credible_high=found.credible.high,
        loss_treatment=found.loss_treatment,
        loss_control=found.loss_control,
    )
