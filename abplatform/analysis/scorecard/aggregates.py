"""Scorecards of experiments that come as pre-aggregated reports, thousands in a few queries.

Reports have no unit rows. Each impression counts as a unit, SRM compares impressions with the
weights, and the test is the fixed one; the scorecard says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.analysis.scorecard.creatives import (
    CreativeTotals,
    aggregate_creative_totals,
    compare_aggregate_creatives,
    compare_with_control,
)
from abplatform.analysis.scorecard.lifts import Compared, compare_levels
from abplatform.analysis.scorecard.looks import Question, Run, find_look
from abplatform.analysis.scorecard.measure import decide_families, listed_metrics
from abplatform.analysis.scorecard.notes import (
    note_aggregates,
    note_no_traffic,
    note_plan,
    note_samples,
)
from abplatform.analysis.scorecard.record import CreativeComparison, Scorecard, SrmCheck
from abplatform.analysis.scorecard.rulings import gather_facts
from abplatform.analysis.scorecard.totals import read_aggregates
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import chi_square

__all__ = ["Reports", "measure_aggregates", "read_reported_creatives", "read_reports"]

Advance = Callable[[int, int], None]

_LAST_DAY = date(2261, 12, 31)


@dataclass(frozen=True, slots=True, eq=False)
class Reports:
    """The newest reports of several experiments.

    Args:
        totals: Rows of ``portable/aggregate_totals`` by experiment.
        creatives: Rows of ``portable/aggregate_creatives`` by experiment.
    """

    totals: Mapping[str, pl.DataFrame]
    creatives: Mapping[str, pl.DataFrame]


def read_reports(
    warehouse: Warehouse, keys: Sequence[str], question: Question, zone: ZoneInfo
) -> Reports:
    """Read the reports of many experiments in two queries.

    Args:
        warehouse: The open store.
        keys: The experiments.
        question: ``as_of`` leaves out days that end after it.
        zone: Where a workspace day ends.
    """
    values = {"experiments": list(keys) or [""], "until_day": _last_whole_day(question, zone)}
    return Reports(
        totals=_by_experiment(warehouse.query("portable/aggregate_totals", **values)),
        creatives=_by_experiment(warehouse.query("portable/aggregate_creatives", **values)),
    )


def read_reported_creatives(
    warehouse: Warehouse, key: str, question: Question, zone: ZoneInfo
) -> list[CreativeTotals]:
    """Read every creative's clicks over impressions from one experiment's reports."""
    reports = read_reports(warehouse, [key], question, zone)
    frame = reports.creatives.get(key)
    return [] if frame is None else aggregate_creative_totals(frame)


def measure_aggregates(
    experiment: Experiment,
    reports: Reports,
    *,
    run: Run,
    question: Question,
    version: str,
) -> Scorecard:
    """Measure an experiment that has pre-aggregated reports, or nothing at all.

    Args:
        experiment: As its YAML says.
        reports: The newest reports.
        run: How it ran.
        question: What the reader wants to know.
        version: The store's ``data_version``.
    """
    frame = reports.totals.get(experiment.key)
    as_of = question.as_of or run.now
    look = find_look(experiment, run, known_until=None if frame is None else as_of, aggregates=True)
    compared = list(_compare(experiment, frame))
    tested = frame is not None or experiment.analysis.test == "fixed"
    judged = decide_families(experiment, compared, tested=tested) if look.reached else compared
    impressions = _impressions(experiment, frame)
    return Scorecard(
        experiment=experiment.key,
        as_of=as_of,
        data_version=version,
        status="final" if look.reached else "provisional",
        units=sum(impressions.values()),
        srm=_check_split(experiment, impressions),
        lifts=tuple(one.lift for one in judged),
        warnings=(
            *(note_aggregates(ignored=False) if frame is not None else ()),
            *note_no_traffic(experiment, (name for name, n in impressions.items() if not n)),
            *note_plan(experiment, look, tested=tested),
            *note_samples(judged),
        ),
        look=look,
        facts=gather_facts(experiment, judged) if look.reached and tested else (),
        creatives=_compare_creatives(experiment, reports),
        first_at=None if frame is None else _start_of(frame["first_day"].min()),
        last_at=None if frame is None else _start_of(frame["last_day"].max()),
    )


def _compare(experiment: Experiment, frame: pl.DataFrame | None) -> Iterator[Compared]:
    metrics = listed_metrics(experiment)
    rows = frame if frame is not None else pl.DataFrame()
    whole = read_aggregates(rows, metrics, level=None)
    yield from compare_levels(experiment, whole, metrics, None)
    for cut in experiment.breakdowns:
        if cut.by == "category":
            totals = read_aggregates(rows, metrics, level=cut.level)
            yield from compare_levels(experiment, totals, metrics, cut)


def _impressions(experiment: Experiment, frame: pl.DataFrame | None) -> dict[str, int]:
    found = {variant.name: 0 for variant in experiment.variants}
    if frame is not None:
        for variant, impressions in frame.select("variant", "impressions").iter_rows():
            found[variant] = found.get(variant, 0) + int(impressions)
    return found


def _check_split(experiment: Experiment, impressions: Mapping[str, int]) -> SrmCheck:
    test = chi_square(impressions, experiment.weights)
    if isinstance(test, Undetermined):
        return SrmCheck(impressions, dict.fromkeys(impressions, 0.0), None, None, "unavailable")
    return SrmCheck(
        test.observed, test.expected, test.p_value, None, "alarm" if test.alarm else "ok"
    )


def _compare_creatives(experiment: Experiment, reports: Reports) -> tuple[CreativeComparison, ...]:
    frame = reports.creatives.get(experiment.key)
    if frame is None:
        return ()
    products = compare_aggregate_creatives(frame)
    return compare_with_control(products, experiment.control.name)


def _by_experiment(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by("experiment", as_dict=True, maintain_order=True)
    return {str(key[0]): part for key, part in parts.items()}


def _last_whole_day(question: Question, zone: ZoneInfo) -> date:
    if question.as_of is None:
        return _LAST_DAY
    return question.as_of.astimezone(zone).date() - timedelta(days=1)


def _start_of(day: object) -> datetime | None:
    return datetime.combine(day, time(), tzinfo=UTC) if isinstance(day, date) else None
