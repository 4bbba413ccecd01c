"""Experiments of different layers that run at once: does one change what the other does?

Units of two layers meet at random, so each experiment's lift averages over the other's variants. If
a treatment does more, or less, beside the other's treatment, that average belongs to a mixture that
ends with the other experiment. Tested on the units that are in both, from the moment they met, by
the ratio of ratios (:mod:`abplatform.stats.ratio_of_ratios`); p-values are adjusted over all pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import cast

from abplatform.analysis.scorecard import Question, Scorecard, have_unit_rows, known_then, scope_of
from abplatform.analysis.scorecard.lifts import SHARES, event_of
from abplatform.analysis.scorecard.moments import read_meeting_moments
from abplatform.analysis.scorecard.record import Warned
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.side_rows import sums_at
from abplatform.analysis.scorecard.special_views import InteractionRow
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import METRICS
from abplatform.logs.store.answering import Store
from abplatform.stats.anytime import effect_e_value
from abplatform.stats.categories import adjust, reject_by_e_values
from abplatform.stats.moments import UnitMoments
from abplatform.stats.ratio import RatioSums, Undetermined
from abplatform.stats.ratio_of_ratios import CELLS, Cell, ratio_of_ratios
from abplatform.traffic.registry import RegisteredExperiment

__all__ = [
    "INTERACTION_ALPHA",
    "INTERACTION_SPREAD",
    "find_interactions",
    "find_neighbours",
    "with_interactions",
]

INTERACTION_ALPHA = 0.05
"""How often, over all days, a warning may come without an interaction."""

INTERACTION_SPREAD = 0.1
"""Interactions of about 10 % are what is looked for."""
"""Share of false alarms among the pairs that are called interacting."""


def with_interactions(
    scorecard: Scorecard,
    warehouse: Store,
    experiment: Experiment,
    *,
    known: Mapping[str, RegisteredExperiment],
    question: Question | None = None,
    lineage: Mapping[str, Lineage] | None = None,
) -> Scorecard:
    """Return the scorecard with its interactions, and a warning for each that is significant.

    Args:
        scorecard: Measured.
        warehouse: The open store.
        experiment: What the scorecard is about.
        known: The workspace's experiments.
        question: What the reader wants to know.
        lineage: Creative to how it was made.
    """
    question = question or Question()
    neighbours = find_neighbours(experiment, known, now=scorecard.as_of)
    if not neighbours:
        return scorecard
    with known_then(warehouse, question):
        present = have_unit_rows(warehouse, [experiment.key, *(one.key for one in neighbours)])
        if experiment.key not in present:
            return scorecard
        scope = replace(
            scope_of(experiment, question, lineage or {}),
            excluded_sources=scorecard.excluded_sources,
        )
        met = [one for one in neighbours if one.key in present]
        rows = find_interactions(warehouse, scope, met)
    warnings = (
        Warned("interaction", _sentence(experiment, row)) for row in rows if row.significant
    )
    return replace(scorecard, interactions=rows, warnings=(*scorecard.warnings, *warnings))


def find_neighbours(
    experiment: Experiment, known: Mapping[str, RegisteredExperiment], *, now: datetime
) -> list[Experiment]:
    """Return the experiments that may share units with this one at the same time.

    Args:
        experiment: This one.
        known: The workspace's experiments.
        now: Until when a running experiment has run.
    """
    own = known.get(experiment.key)
    if experiment.unit == "request_id":
        return []
    return [
        other.experiment
        for key, other in known.items()
        if key != experiment.key
        and other.experiment.unit == experiment.unit
        and not _share_layer(experiment, other.experiment)
        and _overlap(own, other, now)
    ]


def find_interactions(
    warehouse: Store, scope: Scope, others: Iterable[Experiment]
) -> tuple[InteractionRow, ...]:
    """Test every treatment against every treatment of the other experiments.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        others: Experiments that share units with this one.

    Returns:
        A row per pair of treatments; none for an experiment that no unit is in as well.
    """
    experiment, rows = scope.experiment, []
    metric = METRICS[experiment.primary.metric]
    for other in others:
        moments = read_meeting_moments(warehouse, scope, metric, other.key)
        if not any(one.places for one in moments.values()):
            continue
        rows += [
            _test(scope, other, moments, (mine.name, theirs.name))
            for mine in experiment.treatments
            for theirs in other.treatments
        ]
    adjusted = adjust([row.p_value for row in rows], correction="bh")
    # A scorecard is read every day, which p-values of a fixed horizon do not allow for.
    found = reject_by_e_values(
        [row.e_value for row in rows], alpha=INTERACTION_ALPHA, correction="bh"
    )
    return tuple(
        replace(row, p_adjusted=p, significant=rejected)
        for row, p, rejected in zip(rows, adjusted, found, strict=True)
    )


def _test(
    scope: Scope,
    other: Experiment,
    moments: Mapping[str, UnitMoments],
    treatments: tuple[str, str],
) -> InteractionRow:
    experiment, (treatment, other_treatment) = scope.experiment, treatments
    metric = METRICS[experiment.primary.metric]
    mine = {"control": experiment.control.name, "treatment": treatment}
    theirs = {"control": other.control.name, "treatment": other_treatment}
    cells: dict[Cell, RatioSums] = {}
    for cell in CELLS:
        own, _, beside = cell.partition("/")
        cells[cell] = sums_at(moments[mine[own]], theirs[beside])
    row = InteractionRow(
        other=other.key,
        treatment=treatment,
        other_treatment=other_treatment,
        metric=metric.name,
        units=cast("Mapping[str, int]", {cell: sums.units for cell, sums in cells.items()}),
    )
    found = ratio_of_ratios(
        cells,
        alpha=experiment.analysis.alpha,
        share=metric.name in SHARES,
        event=event_of(metric),
    )
    if isinstance(found, Undetermined):
        return replace(row, undetermined=found.reason)
    return replace(
        row,
        relative=found.relative,
        ci_low=found.interval.low,
        ci_high=found.interval.high,
        p_value=found.p_value,
        e_value=effect_e_value(found.p_value, se=found.se, spread=INTERACTION_SPREAD),
    )


def _share_layer(one: Experiment, two: Experiment) -> bool:
    """Experiments of one layer never share a unit; those assigned elsewhere have no layer."""
    both = "external" not in {one.assignment, two.assignment}
    return both and one.own_layer.name == two.own_layer.name


def _overlap(own: RegisteredExperiment | None, other: RegisteredExperiment, now: datetime) -> bool:
    if other.started_at is None:
        # It was assigned elsewhere, and the log alone knows when; or it never started.
        return other.experiment.assignment == "external"
    if own is None or own.started_at is None:
        return own is None or own.experiment.assignment == "external"
    begins = max(own.started_at, other.started_at)
    return begins < min(own.ended_at or now, other.ended_at or now)


def _sentence(experiment: Experiment, row: InteractionRow) -> str:
    more = "larger" if (row.relative or 0.0) > 0 else "smaller"
    return (
        f"{row.treatment} does not act alone: beside {row.other_treatment} of {row.other} its "
        f"{row.metric} ratio to {experiment.control.name} is {abs(row.relative or 0.0):.1%} "
        f"{more} (adjusted p = {row.p_adjusted:.2g}); decide the two together"
    )
