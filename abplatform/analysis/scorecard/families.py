"""Which lifts are judged together, and what is significant among them.

One family per metric, breakdown and contrast: the levels of a cut for one treatment, or, without a
cut, the treatments that share a control. At the registered decision look p-values are adjusted:
levels as the YAML says, treatments by Dunnett. Before it, and after a stop that was not planned,
e-values are judged, because they hold whenever and however often one looks. The two views of the
bots are of the same units and stay raw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from abplatform.analysis.scorecard.lifts import Compared, families
from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import METRICS, Metric
from abplatform.stats.categories import Correction, adjust, reject_by_e_values
from abplatform.stats.dunnett import JointTest, compare_with_control
from abplatform.stats.ratio import RatioContrast, Undetermined

__all__ = ["decide_families", "judge_contrasts", "judge_treatments", "watch_families"]


def decide_families(experiment: Experiment, compared: Sequence[Compared]) -> list[Compared]:
    """Adjust the p-values of every family and mark what is at most alpha: at the decision look.

    Args:
        experiment: Names alpha.
        compared: Comparisons of the rows that the decision look rests on.
    """
    alpha = experiment.analysis.alpha
    decided: list[Compared] = []
    for (_, cut, _), family in families(compared).items():
        if cut is None:
            decided += _decide_treatments(family, alpha=alpha)
        elif cut.by == "bots":
            decided += family
        else:
            decided += _decide_levels(family, correction=cut.correction, alpha=alpha)
    return decided


def watch_families(experiment: Experiment, compared: Sequence[Compared]) -> list[Compared]:
    """Mark what the current e-values reject in every cut: at any moment but the decision look.

    Lifts of everything together keep what the plan says of them.

    Args:
        experiment: Names alpha.
        compared: Comparisons with their e-values.
    """
    watched: list[Compared] = []
    for (_, cut, _), family in families(compared).items():
        if cut is None or cut.by == "bots":
            watched += family
            continue
        rejected = reject_by_e_values(
            [one.lift.e_value for one in family],
            alpha=experiment.analysis.alpha,
            correction=cut.correction,
        )
        watched += [
            replace(one, lift=replace(one.lift, p_adjusted=None, significant=significant))
            for one, significant in zip(family, rejected, strict=True)
        ]
    return watched


def judge_treatments(family: Sequence[Compared], *, alpha: float) -> JointTest | Undetermined:
    """Return the joint test of treatments that share a control (Dunnett).

    Args:
        family: One metric, everything together, one comparison per treatment.
        alpha: Error rate of the family.
    """
    metric = METRICS[family[0].lift.metric]
    return judge_contrasts(metric, [one.contrast for one in family], alpha=alpha)


def judge_contrasts(
    metric: Metric, contrasts: Sequence[RatioContrast | Undetermined], *, alpha: float
) -> JointTest | Undetermined:
    """Return the joint test of contrasts with one control.

    The two sides of an incremental contrast are differences from the control, so that what it
    shares with the others cannot be read off them. It counts as sharing nothing, which costs a
    little power and no error rate (Šidák's inequality).

    Args:
        metric: What is measured.
        contrasts: One per treatment.
        alpha: Error rate of the family.
    """
    known = [one for one in contrasts if isinstance(one, RatioContrast)]
    shared = 0.0 if metric.incremental or not known else known[0].control.variance
    return compare_with_control(
        [one.z if isinstance(one, RatioContrast) else None for one in contrasts],
        [one.treatment.variance if isinstance(one, RatioContrast) else 0.0 for one in contrasts],
        control_variance=shared,
        alpha=alpha,
    )


def _decide_treatments(family: Sequence[Compared], *, alpha: float) -> list[Compared]:
    if len(family) == 1:
        return _decide_levels(family, correction="none", alpha=alpha)
    test = judge_treatments(family, alpha=alpha)
    if isinstance(test, Undetermined):
        return list(family)
    return _mark(family, test.p_adjusted, alpha=alpha)


def _decide_levels(
    family: Sequence[Compared], *, correction: Correction, alpha: float
) -> list[Compared]:
    adjusted = adjust([one.lift.p_value for one in family], correction=correction)
    return _mark(family, adjusted, alpha=alpha)


def _mark(
    family: Sequence[Compared], adjusted: Sequence[float | None], *, alpha: float
) -> list[Compared]:
    return [
        replace(one, lift=replace(one.lift, p_adjusted=p, significant=p is not None and p <= alpha))
        for one, p in zip(family, adjusted, strict=True)
    ]
