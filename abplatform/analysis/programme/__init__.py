"""Learning across experiments: what winning, shipping and scenes have brought so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from abplatform.analysis.programme.attributes import (
    LEAST_CLICKS,
    LEAST_PRODUCTS,
    learn_attributes,
)
from abplatform.analysis.programme.effects import (
    MeasuredEnd,
    ended_of,
    is_invalid,
    list_ended,
    measure_impact,
)
from abplatform.analysis.programme.holdout import measure_holdout
from abplatform.analysis.programme.record import (
    AttributeEffect,
    EndedRow,
    HoldoutLift,
    Impact,
    Programme,
)
from abplatform.analysis.scorecard import (
    ProductComparison,
    Question,
    Run,
    compare_creatives,
    compare_reported_creatives,
    has_unit_rows,
    read_reports,
    scope_of,
)
from abplatform.analysis.verdict import analyze
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Experiment, State
from abplatform.logs.store.answering import Store
from abplatform.traffic.registry import RegisteredExperiment

__all__ = [
    "AttributeEffect",
    "EndedRow",
    "HoldoutLift",
    "Impact",
    "Programme",
    "learn_attributes",
    "measure_holdout",
    "review_programme",
]

_FINAL = Question(final=True)


def review_programme(
    warehouse: Store,
    registered: Mapping[str, RegisteredExperiment],
    *,
    now: datetime,
    zone: ZoneInfo,
    lineage: Mapping[str, Lineage],
    holdout: float,
    advance: Callable[[int, int], None] | None = None,
) -> Programme:
    """Look back on every experiment of a workspace.

    Args:
        warehouse: The open store.
        registered: The workspace's experiments.
        now: The workspace's clock.
        zone: Where a workspace day ends.
        lineage: Creative to how it was made.
        holdout: Share of units kept on original baselines, 0 … 1.
        advance: Told how many ended experiments are done.
    """
    ended = ended_of(registered)
    ends: list[MeasuredEnd] = []
    products: list[ProductComparison] = []
    invalid = 0
    for done, one in enumerate(ended, start=1):
        run = Run.of(one, now=now)
        scorecard = analyze(
            warehouse, one.experiment, run=run, question=_FINAL, lineage=lineage, zone=zone
        )
        ends += list_ended(one, scorecard)
        if is_invalid(one, scorecard):
            invalid += 1
        else:
            products += _compare(warehouse, one.experiment, run, lineage, zone=zone)
        if advance is not None:
            advance(done, len(ended))
    rows, impacts = measure_impact(ends)
    programme = Programme(
        started=sum(one.state is not State.DRAFT for one in registered.values()),
        ended=len(ended),
        win_rate=_share({row.experiment for row in rows if row.won}, len(ended)),
        ship_rate=_share({row.experiment for row in rows if row.shipped}, len(ended)),
        invalid=invalid,
        rows=tuple(rows),
        impacts=tuple(impacts),
        holdout=measure_holdout(warehouse, planned_share=holdout),
        attributes=learn_attributes(products, {key: how.scene for key, how in lineage.items()}),
    )
    return replace(programme, notes=tuple(_notes(programme)))


def _compare(
    warehouse: Store,
    experiment: Experiment,
    run: Run,
    lineage: Mapping[str, Lineage],
    *,
    zone: ZoneInfo,
) -> Sequence[ProductComparison]:
    if has_unit_rows(warehouse, experiment.key):
        excluded = run.excluded_sources
        scope = scope_of(experiment, _FINAL, lineage, excluded_sources=excluded)
        return compare_creatives(warehouse, scope).products
    reports = read_reports(warehouse, [experiment.key], _FINAL, zone, runs={experiment.key: run})
    return compare_reported_creatives(reports, experiment.key)


def _share(found: set[str], whole: int) -> float | None:
    return len(found) / whole if whole else None


def _notes(programme: Programme) -> Iterator[str]:
    if not programme.ended:
        yield "no experiment has ended yet; stop or decide one, then there is something to learn"
    if any(impact.raw_total is not None for impact in programme.impacts):
        yield (
            "shipped lifts were chosen because they looked good, so they look better than they "
            "are (the winner's curse); the shrunken total is what to expect"
        )
    if any(impact.shipped > 1 for impact in programme.impacts):
        yield (
            "totals compound shipped lifts as if each still held on all traffic; the holdout, "
            "where there is one, measures that instead of assuming it"
        )
    if programme.ended and not programme.attributes:
        yield (
            f"no word of a scene has enough evidence yet: it takes {LEAST_PRODUCTS} products in "
            "which some generated creatives have it and others do not, and "
            f"{LEAST_CLICKS} clicks on either side"
        )
