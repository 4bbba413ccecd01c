"""Levels of a cut together: lifts pulled towards their mean, what they share, where they differ.

Units span levels, so that all of it rests on the joint unit-clustered covariance. Where each
impression stands alone, in pre-aggregated reports and with ``unit: request_id``, the same functions
get a diagonal one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from abplatform.analysis.scorecard.lifts import Compared, event_of, families
from abplatform.analysis.scorecard.moments import read_level_moments
from abplatform.analysis.scorecard.record import Warned
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.strata import Heterogeneity
from abplatform.domain.experiment import Breakdown, Experiment
from abplatform.domain.metrics import METRICS
from abplatform.figures import percent
from abplatform.logs.store.answering import Store
from abplatform.stats.joint import (
    JointLifts,
    PooledLift,
    WaldTest,
    independent_lifts,
    is_reversed,
    joint_lifts,
    pool,
    wald_heterogeneity,
)
from abplatform.stats.moments import UnitMoments
from abplatform.stats.ratio import Undetermined
from abplatform.stats.shrinkage import ShrunkenLifts, paule_mandel, shrink

__all__ = ["Strata", "shrink_levels", "shrink_reports"]

_FIELDS = "shrunken_lift, shrunken_low, shrunken_high, p_better"

_NAMED = 3
"""How many levels a sentence names before it counts the rest."""


@dataclass(frozen=True, slots=True)
class Strata:
    """What the levels of all cuts say together.

    Args:
        compared: The comparisons as given, in their order, with the shrunken fields.
        heterogeneity: Of the primary metric over the first category breakdown; None without one.
        warnings: ``simpsons_paradox``.
        reasons: Which shrunken fields are null, and why, as sentences.
    """

    compared: tuple[Compared, ...]
    heterogeneity: Heterogeneity | None
    warnings: tuple[Warned, ...]
    reasons: tuple[str, ...]


_Family = Sequence[Compared]
"""The levels of one cut, in one metric, of one treatment."""

_Joint = Callable[[_Family], JointLifts | Undetermined]


def shrink_levels(warehouse: Store, scope: Scope, compared: Sequence[Compared]) -> Strata:
    """Look at the levels of every cut together, by their units.

    Args:
        warehouse: The open store.
        scope: The rows that were compared.
        compared: The comparisons.
    """
    if scope.by_event:
        # Each impression is its own unit and lies in one level: nothing is shared.
        return shrink_reports(scope.experiment, compared)
    known: dict[tuple[str, Breakdown], Mapping[str, UnitMoments]] = {}

    def joint(family: _Family) -> JointLifts | Undetermined:
        lift, cut = family[0].lift, family[0].cut
        metric = METRICS[lift.metric]
        # Without any contrast there is nothing to read.
        obstacle = _shared_obstacle(family)
        if cut is None or obstacle is not None:
            return obstacle or Undetermined("no_cut: everything together has no levels")
        if metric.incremental:
            return Undetermined(f"no_positive_rate: {metric.name} is no ratio of a variant's sums")
        if (metric.name, cut) not in known:
            known[metric.name, cut] = read_level_moments(warehouse, scope, metric, cut)
        moments = known[metric.name, cut]
        return joint_lifts(moments[lift.control], moments[lift.treatment], event=event_of(metric))

    return _look_at(scope.experiment, compared, joint)


def shrink_reports(experiment: Experiment, compared: Sequence[Compared]) -> Strata:
    """Look at the levels of every cut together where each impression stands alone.

    Args:
        experiment: As its YAML says.
        compared: The comparisons.
    """

    def joint(family: _Family) -> JointLifts | Undetermined:
        levels = [(one.lift.level or "", one) for one in family]
        return independent_lifts(
            {level: one.contrast for level, one in levels},
            {level: (one.lift.n_control, one.lift.n_treatment) for level, one in levels},
        )

    return _look_at(experiment, compared, joint)


def _look_at(experiment: Experiment, compared: Sequence[Compared], joint: _Joint) -> Strata:
    alpha, first = experiment.analysis.alpha, _first_category_cut(experiment)
    overall = {one.lift.treatment: one for one in compared if _is_primary(one, experiment, None)}
    filled: dict[int, Compared] = {}
    gaps: list[str] = []
    found: list[Heterogeneity] = []
    warnings: list[Warned] = []
    for (_, cut, treatment), family in families(compared).items():
        if cut is None or cut.by == "bots":
            continue
        primary = _is_primary(family[0], experiment, first)
        if not cut.shrink and not primary:
            continue
        lifts = joint(family)
        if cut.shrink:
            shrunken = lifts if isinstance(lifts, Undetermined) else shrink(lifts, alpha=alpha)
            filled |= dict(_fill(family, shrunken, experiment))
            gaps += _why_null(family, lifts, shrunken)
        if primary:
            found.append(_heterogeneity(treatment, lifts, alpha=alpha))
            warnings += _warn_of_reversal(overall.get(treatment), lifts, alpha=alpha)
    gaps.append(
        "for everything together (but for p_better, which stands in bayes with its prior), for the "
        "two views of the bots, where a breakdown says shrink: false, and where a lift is null"
    )
    return Strata(
        compared=tuple(filled.get(id(one), one) for one in compared),
        heterogeneity=replace(found[0], others=tuple(found[1:])) if found else None,
        warnings=tuple(warnings),
        reasons=(f"{_FIELDS} are null " + ", ".join(gaps),),
    )


def _first_category_cut(experiment: Experiment) -> Breakdown | None:
    return next((cut for cut in experiment.breakdowns if cut.by == "category"), None)


def _is_primary(one: Compared, experiment: Experiment, cut: Breakdown | None) -> bool:
    return one.lift.metric == experiment.primary.metric and one.cut == cut


def _shared_obstacle(family: _Family) -> Undetermined | None:
    obstacles = [one.contrast for one in family if isinstance(one.contrast, Undetermined)]
    return obstacles[0] if len(obstacles) == len(family) else None


def _fill(
    family: _Family, shrunken: ShrunkenLifts | Undetermined, experiment: Experiment
) -> Iterator[tuple[int, Compared]]:
    if isinstance(shrunken, Undetermined):
        return
    rises = experiment.direction_of(family[0].lift.metric) == "increase"
    places = {level: place for place, level in enumerate(shrunken.names)}
    for one in family:
        place = places.get(one.lift.level or "")
        if place is None:
            continue
        positive = float(shrunken.p_positive[place])
        lift = replace(
            one.lift,
            shrunken_lift=float(shrunken.lift[place]),
            shrunken_low=float(shrunken.low[place]),
            shrunken_high=float(shrunken.high[place]),
            p_better=positive if rises else 1 - positive,
        )
        yield id(one), replace(one, lift=lift)


def _why_null(
    family: _Family, lifts: JointLifts | Undetermined, shrunken: ShrunkenLifts | Undetermined
) -> Iterator[str]:
    lift = family[0].lift
    where = f"{lift.metric} of {lift.treatment} by {lift.breakdown}"
    if _shared_obstacle(family) is not None:
        # Each lift says why there is none.
        return
    if isinstance(shrunken, Undetermined):
        yield f"for {where} ({shrunken.reason})"
    elif isinstance(lifts, JointLifts) and lifts.left_out:
        named = ", ".join(list(lifts.left_out)[:_NAMED])
        rest = len(lifts.left_out) - _NAMED
        more = f" and {rest} more" if rest > 0 else ""
        reason = next(iter(lifts.left_out.values())).reason
        yield f"for {where} in {named}{more} ({reason})"


def _heterogeneity(
    treatment: str, lifts: JointLifts | Undetermined, *, alpha: float
) -> Heterogeneity:
    if isinstance(lifts, Undetermined):
        return Heterogeneity(treatment, undetermined=lifts.reason)
    found = Heterogeneity(treatment, categories=len(lifts.names), left_out=tuple(lifts.left_out))
    test, tau2, pooled = wald_heterogeneity(lifts), paule_mandel(lifts), pool(lifts, alpha=alpha)
    for one in (test, tau2, pooled):
        if isinstance(one, Undetermined):
            found = replace(found, undetermined=found.undetermined or one.reason)
    if isinstance(test, WaldTest):
        found = replace(found, statistic=test.statistic, df=test.df, p_value=test.p_value)
    if isinstance(tau2, float):
        found = replace(found, tau2=tau2)
    if isinstance(pooled, PooledLift):
        low, high = pooled.interval.low, pooled.interval.high
        found = replace(found, pooled_lift=pooled.relative_lift, pooled_low=low, pooled_high=high)
    return found


def _warn_of_reversal(
    overall: Compared | None, lifts: JointLifts | Undetermined, *, alpha: float
) -> Iterator[Warned]:
    if overall is None or isinstance(lifts, Undetermined):
        return
    pooled = pool(lifts, alpha=alpha)
    if not isinstance(pooled, PooledLift) or isinstance(overall.contrast, Undetermined):
        return
    if is_reversed(overall.contrast.z, pooled.z, alpha=alpha):
        lift = overall.lift
        yield Warned(
            "simpsons_paradox",
            f"{lift.metric} of {lift.treatment}: z = {overall.contrast.z:+.1f} for everything "
            f"together, but a lift of {percent(pooled.relative_lift)} within categories; the "
            "variants' traffic falls on different categories, so look at them one by one",
        )
