"""Significant lifts of the decision look, corrected for having been reported for their size.

For the fixed plan, whose one look is the end, and for the levels of a cut under every plan, since
they are judged once, at that look. The sequential plan's primary lift stopped at one of many looks:
its estimate orders results by look and comes from ``stats/sequential``.

A corrected standardised effect δ is carried to the relative lift in proportion, lift·δ/z: at δ = z
it is the raw lift, at δ = 0 it is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from abplatform.analysis.scorecard.families import judge_treatments
from abplatform.analysis.scorecard.lifts import Compared, families
from abplatform.analysis.scorecard.strata import CorrectedLift
from abplatform.domain.experiment import Experiment
from abplatform.stats.fieller import RatioContrast
from abplatform.stats.selection import beyond, correct_selected, rejection_threshold
from abplatform.stats.undetermined import Undetermined

__all__ = ["correct_winners"]


def correct_winners(
    experiment: Experiment, judged: Sequence[Compared]
) -> tuple[CorrectedLift, ...]:
    """Correct every significant lift of the decision look.

    Args:
        experiment: Names alpha.
        judged: Comparisons as :func:`decide_families` left them.

    Returns:
        One entry per lift that it called significant.
    """
    alpha = experiment.analysis.alpha
    found: list[CorrectedLift] = []
    for (_, cut, _), family in families(judged).items():
        if cut is None:
            found += _correct_treatments(family, alpha=alpha)
        elif cut.by != "bots":
            found += _correct_levels(family, alpha=alpha)
    return tuple(found)


def _correct_treatments(family: Sequence[Compared], *, alpha: float) -> Iterator[CorrectedLift]:
    test = judge_treatments(family, alpha=alpha)
    if isinstance(test, Undetermined):
        return
    critical = test.critical_value
    method = f"conditional on |z| > {critical:.3f}"
    if len(family) > 1:
        method += f", the joint critical value of {len(family)} treatments"
    for one in family:
        yield from _correct(one, critical, method=method, alpha=alpha)


def _correct_levels(family: Sequence[Compared], *, alpha: float) -> Iterator[CorrectedLift]:
    known = [one for one in family if one.lift.p_value is not None]
    p_values = [one.lift.p_value or 0.0 for one in known]
    correction = known[0].cut.correction if known and known[0].cut else "none"
    for place, one in enumerate(known):
        critical = rejection_threshold(p_values, place, alpha=alpha, correction=correction)
        if critical is not None:
            method = (
                f"conditional on |z| > {critical:.3f}, where {correction} over "
                f"{len(known)} levels rejects it, the others as they are"
            )
            yield from _correct(one, critical, method=method, alpha=alpha)


def _correct(
    one: Compared, critical: float, *, method: str, alpha: float
) -> Iterator[CorrectedLift]:
    lift, result = one.lift, one.contrast
    if not lift.significant or not isinstance(result, RatioContrast):
        return
    raw = result.relative_lift
    effect = correct_selected(result.z, beyond(critical), alpha=alpha)
    if isinstance(raw, Undetermined) or isinstance(effect, Undetermined):
        return

    def carried(delta: float) -> float | None:
        return raw * delta / result.z if math.isfinite(delta) else None

    # A negative lift has a negative z: the ends keep their order.
    ends = (carried(effect.low), carried(effect.high))
    bounded = None not in ends
    yield CorrectedLift(
        metric=lift.metric,
        treatment=lift.treatment,
        breakdown=lift.breakdown,
        level=lift.level,
        relative_lift=raw,
        conditional_mle=carried(effect.conditional_mle),
        median_unbiased=carried(effect.median_unbiased),
        low=ends[0],
        high=ends[1],
        method=method,
        undetermined=None
        if bounded
        else "unbounded: so close to the threshold the data do not bound the effect",
    )
