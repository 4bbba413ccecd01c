"""Treatments against each other, where there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from abplatform.analysis.scorecard.lifts import Compared, relative_fields
from abplatform.analysis.scorecard.strata import PairwiseLift
from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import METRICS
from abplatform.stats.categories import adjust
from abplatform.stats.fieller import RatioContrast, compare_rates
from abplatform.stats.undetermined import Undetermined

__all__ = ["carry_pairs", "compare_treatments"]


def compare_treatments(
    experiment: Experiment, compared: Sequence[Compared], *, decided: bool
) -> tuple[PairwiseLift, ...]:
    """Compare every treatment with every later one in every metric, everything together.

    Args:
        experiment: Names the treatments and alpha.
        compared: Each treatment against the control.
        decided: Whether the decision look has come; p-values are adjusted only then, by Holm over
            the pairs of one metric.

    Returns:
        One entry per pair and metric; nothing with one treatment.
    """
    overall: dict[str, dict[str, Compared]] = {}
    for one in compared:
        # Incremental metrics are differences from the control already.
        if one.lift.breakdown is None and not METRICS[one.lift.metric].incremental:
            overall.setdefault(one.lift.metric, {})[one.lift.treatment] = one
    found: list[PairwiseLift] = []
    for metric, treatments in overall.items():
        pairs = _pairs_of(metric, treatments, alpha=experiment.analysis.alpha)
        found += _decide(pairs, alpha=experiment.analysis.alpha) if decided else pairs
    return tuple(found)


def carry_pairs(
    shown: Sequence[PairwiseLift], judged: Sequence[PairwiseLift]
) -> tuple[PairwiseLift, ...]:
    """Return the pairs shown with what the decision look said of them.

    Args:
        shown: Of every row asked for.
        judged: Of the rows that the decision rests on; nothing before it.
    """
    decided = {(pair.metric, pair.base, pair.treatment): pair for pair in judged}
    pairs = []
    for pair in shown:
        ruling = decided.get((pair.metric, pair.base, pair.treatment))
        if ruling is not None:
            pairs.append(
                replace(pair, p_adjusted=ruling.p_adjusted, significant=ruling.significant)
            )
        else:
            pairs.append(pair)
    return tuple(pairs)


def _pairs_of(
    metric: str, treatments: Mapping[str, Compared], *, alpha: float
) -> list[PairwiseLift]:
    return [
        _fill(PairwiseLift(metric, base, treatment), treatments[base], treatments[treatment], alpha)
        for base, treatment in combinations(treatments, 2)
    ]


def _fill(pair: PairwiseLift, base: Compared, other: Compared, alpha: float) -> PairwiseLift:
    result = _contrast(base, other, alpha=alpha)
    if isinstance(result, Undetermined):
        return replace(pair, undetermined=result.reason)
    scale = METRICS[pair.metric].scale
    return replace(
        pair,
        rate_base=result.rate_control * scale,
        rate_treatment=result.rate_treatment * scale,
        absolute_lift=result.absolute_lift * scale,
        log10_p=result.log10_p,
        **relative_fields(result),
    )


def _contrast(base: Compared, other: Compared, *, alpha: float) -> RatioContrast | Undetermined:
    """Compare two treatments by the estimates that each was compared with the control by."""
    if isinstance(base.contrast, Undetermined):
        return _not_compared(base, base.contrast)
    if isinstance(other.contrast, Undetermined):
        return _not_compared(other, other.contrast)
    return compare_rates(base.contrast.treatment, other.contrast.treatment, alpha=alpha)


def _not_compared(one: Compared, why: Undetermined) -> Undetermined:
    return Undetermined(f"{why.code}: {one.lift.treatment} could not be compared with the control")


def _decide(pairs: Sequence[PairwiseLift], *, alpha: float) -> list[PairwiseLift]:
    adjusted = adjust([pair.p_value for pair in pairs], correction="holm")
    return [
        replace(pair, p_adjusted=p, significant=p is not None and p <= alpha)
        for pair, p in zip(pairs, adjusted, strict=True)
    ]
