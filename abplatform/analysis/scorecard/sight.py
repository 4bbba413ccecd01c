"""What can be seen of an experiment at a look: running totals, day by day, of final rows.

With flags, each look has its own reading, since a unit that turned out to be a bot later was none
then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from abplatform.analysis.scorecard.adjusted import adjust_with
from abplatform.analysis.scorecard.histories import History, Known, with_history
from abplatform.analysis.scorecard.lifts import SHARES, Compared, compare_levels, event_of
from abplatform.analysis.scorecard.looks import Agenda
from abplatform.analysis.scorecard.moments import read_day_moments
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.totals import read_totals
from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import METRICS
from abplatform.logs.store.answering import Store
from abplatform.stats.cuped import Adjustment, contrast_adjusted
from abplatform.stats.incremental import contrast_incremental
from abplatform.stats.moments import Score, UnitMoments
from abplatform.stats.sequential import LookSeries, Plan, build_series
from abplatform.traffic.registry.look_days import LookDay
from abplatform.traffic.registry.look_plan import day_number

__all__ = ["Ground", "Sight", "see"]


@dataclass(frozen=True, eq=False)
class Ground:
    """What looks rest on.

    Args:
        warehouse: The open store.
        scope: Which rows count at all.
        agenda: When to look.
        plan: What a look may decide.
        history: The pre-period totals, where the YAML asks for an adjustment.
        flagged: Whether units have flags, which may differ from look to look.
    """

    warehouse: Store
    scope: Scope
    agenda: Agenda
    plan: Plan
    history: History | None = None
    flagged: bool = True

    @property
    def experiment(self) -> Experiment:
        """As its YAML says."""
        return self.scope.experiment

    def scope_at(self, day: LookDay) -> Scope:
        """Return the rows that a look rests on: final ones, up to its end."""
        return replace(self.scope, final=True, until=min(self.scope.until, day.at))

    def number(self, day: LookDay) -> int:
        """Return the number of a look's workspace day; the run's first one is 1."""
        return day_number(day.day, self.agenda.first_day or day.day)


@dataclass(frozen=True, eq=False)
class Sight:
    """What can be seen of an experiment at one look.

    Args:
        ground: What it rests on.
        day: The look.
        moments: Variant to moments of running totals, one place a look up to and including it.
        units_with_history: How many units of each variant have pre-period totals, by look.
    """

    ground: Ground
    day: LookDay
    moments: Mapping[str, UnitMoments]
    units_with_history: Sequence[Known] = ()

    @cached_property
    def days(self) -> list[int]:
        """Numbers of the days of the looks so far."""
        agenda = self.ground.agenda
        return [self.ground.number(day) for day in agenda.days if day.at <= self.day.at]

    @cached_property
    def guardrails(self) -> list[Compared]:
        """The guardrails' metrics at the end of the day, without a breakdown."""
        experiment = self.ground.experiment
        names = dict.fromkeys(guardrail.metric for guardrail in experiment.guardrails)
        metrics = [METRICS[name] for name in names]
        if not metrics:
            return []
        totals = read_totals(self.ground.warehouse, self.ground.scope_at(self.day), metrics, None)
        return compare_levels(experiment, totals, metrics, None)

    def series(self, treatment: str) -> LookSeries:
        """Return the looks so far at one treatment's primary metric."""
        experiment, history = self.ground.experiment, self.ground.history
        metric = METRICS[experiment.primary.metric]
        both = (experiment.control.name, treatment)
        control, treated = (self.moments[name] for name in both)
        share, places = metric.name in SHARES, range(len(self.days))
        if metric.incremental:
            return _incremental_series(control, treated, self.days)
        if history is None:
            return build_series(control, treated, days=self.days, share=share)
        found = [
            adjust_with(
                self.moments, history=history, known=self.units_with_history[place], place=place
            )
            for place in places
        ]
        contrasts = [
            contrast_adjusted(
                one,
                self.moments,
                control=both[0],
                treatment=treatment,
                place=place,
                share=share,
                event=event_of(metric),
            )
            for place, one in zip(places, found, strict=True)
        ]
        return build_series(
            control,
            treated,
            days=self.days,
            share=share,
            adjusted=contrasts,
            scores=(_scores(found, both[0]), _scores(found, treatment)),
        )


def _incremental_series(
    control: UnitMoments, treatment: UnitMoments, days: Sequence[int]
) -> LookSeries:
    """Return the looks at what a treatment brings in beyond its cost, per assigned unit.

    The statistic is that of the mean profit, whose score is (p_i - p̄)/U with p = k - n.
    """
    sides, places = (control, treatment), range(len(days))
    contrasts = [
        contrast_incremental(*(side.ratio_sums(place) for side in sides)) for place in places
    ]
    scores = [[_profit_score(side, place) for place in places] for side in sides]
    series = build_series(
        control, treatment, days=days, adjusted=contrasts, scores=(scores[0], scores[1])
    )
    # Information is 1/se² of the mean profit; there is no rate to put it in relation to.
    return replace(series, points=tuple(replace(point, pooled_rate=1.0) for point in series.points))


def _profit_score(moments: UnitMoments, place: int) -> Score:
    k, n, u = (moments.at(kind) for kind in ("k", "n", "u"))
    units = moments.counts[place].units
    weights = np.zeros((len(moments.kinds), len(moments.places)), dtype=object)
    weights[k, place], weights[n, place] = units, -units
    weights[u, place] = int(moments.sums[n, place]) - int(moments.sums[k, place])
    return Score(weights, max(units, 1) ** 2)


def _scores(found: Sequence[Adjustment], variant: str) -> list[Score]:
    """Return a variant's scores, an empty one where it has no rate yet and none is asked for."""
    return [one.scores.get(variant, Score(np.zeros((0, 0)), 1.0)) for one in found]


def see(ground: Ground, days: Sequence[LookDay]) -> Iterator[Sight]:
    """Yield what can be seen at each look; in one reading where no flag tells the days apart.

    Args:
        ground: What looks rest on.
        days: The looks, in order.
    """
    if not days:
        return
    if ground.flagged:
        for day in days:
            yield _read_sight(ground, day)
        return
    whole = _read_sight(ground, days[-1])
    for day in days:
        places = range(sum(1 for one in ground.agenda.days if one.at <= day.at))
        moments = {name: _keep_places(one, places) for name, one in whole.moments.items()}
        yield replace(whole, day=day, moments=moments)


def _read_sight(ground: Ground, day: LookDay) -> Sight:
    first = ground.agenda.first_day or day.day
    every = [first + timedelta(days=passed) for passed in range(ground.number(day))]
    scope, metric = ground.scope_at(day), METRICS[ground.experiment.primary.metric]
    moments = read_day_moments(ground.warehouse, scope, metric, days=every)
    known: Sequence[Known] = [{}] * len(every)
    if ground.history is not None:
        moments, known = with_history(
            ground.warehouse, scope, metric, moments=moments, history=ground.history
        )
    index: dict[date, int] = {one: place for place, one in enumerate(every)}
    places = [index[one.day] for one in ground.agenda.days if one.at <= day.at]
    return Sight(
        ground=ground,
        day=day,
        moments={name: _keep_places(one, places) for name, one in moments.items()},
        units_with_history=[known[place] for place in places],
    )


def _keep_places(moments: UnitMoments, places: Sequence[int]) -> UnitMoments:
    chosen = np.array(places, dtype=int)
    return UnitMoments(
        kinds=moments.kinds,
        places=tuple(moments.places[place] for place in places),
        sums=moments.sums[:, chosen],
        products=moments.products[:, chosen][:, :, :, chosen],
        counts=tuple(moments.counts[place] for place in places),
    )
