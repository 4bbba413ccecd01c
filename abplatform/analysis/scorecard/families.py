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
from abplatform.domain.metrics import METRICS
from abplatform.stats.categories import Correction, adjust, reject_by_e_values
from abplatform.stats.dunnett import JointTest, compare_with_control
from abplatform.stats.ratio import RatioContrast, Undetermined

__all__ = ["decide_families", "judge_treatments", "watch_families"]


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
    contrasts = [
        one.contrast if isinstance(one.contrast, RatioContrast) else None for one in family
    ]
    known = [one for one in contrasts if one is not None]
    return compare_with_control(
        [None if one is None else one.z for one in contrasts],
        [0.0 if one is None else one.treatment.variance for one in contrasts],
        control_variance=known[0].control.variance if known else 0.0,
        alpha=alpha,
    )


def _decide_treatments(family: Sequence[Compared], *, alpha: float) -> list[Compared]:
    if len(family) == 1:
        return _decide_levels(family, correction="none", alpha=alpha)
    if METRICS[family[0].lift.metric].incremental:
        # Differences from the control's totals have no variance of the treatment's own.
        return _decide_levels(family, correction="holm", alpha=alpha)
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
