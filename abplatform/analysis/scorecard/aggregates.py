"""Scorecards of experiments that come as pre-aggregated reports, thousands in a few queries.

Reports have no unit rows. Each impression counts as a unit, SRM compares impressions with the
weights, and the test is the fixed one; the scorecard says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.analysis.scorecard.comparisons import listed_metrics
from abplatform.analysis.scorecard.creatives import (
    compare_aggregate_creatives,
    compare_with_control,
)
from abplatform.analysis.scorecard.families import decide_families
from abplatform.analysis.scorecard.lifts import Compared, carry_over, compare_levels
from abplatform.analysis.scorecard.looks import (
    Question,
    Run,
    decision_moment,
    find_fixed_look,
)
from abplatform.analysis.scorecard.notes import (
    note_aggregates,
    note_fixed,
    note_later,
    note_no_traffic,
    note_outside,
    note_samples,
)
from abplatform.analysis.scorecard.record import CreativeComparison, Scorecard, SrmCheck
from abplatform.analysis.scorecard.rulings import gather_facts
from abplatform.analysis.scorecard.totals import ReportRow, read_aggregates
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import chi_square

__all__ = ["ReportViews", "Reports", "measure_aggregates", "read_reports", "view_reports"]

Advance = Callable[[int, int], None]

_FIRST_DAY = date(1900, 1, 1)
_LAST_DAY = date(2261, 12, 31)


@dataclass(frozen=True, slots=True, eq=False)
class Reports:
    """The newest reports of several experiments.

    Args:
        totals: Rows of ``portable/aggregate_totals`` by experiment.
        creatives: Rows of ``portable/aggregate_creatives`` by experiment.
    """

    totals: Mapping[str, Sequence[ReportRow]]
    creatives: Mapping[str, Sequence[ReportRow]]


@dataclass(frozen=True, slots=True, eq=False)
class ReportViews:
    """One experiment's reports, ever fewer of them.

    Args:
        asked: Everything that the question asks for.
        running: Of days in which the experiment ran.
        ruling: Of days before the decision look.
    """

    asked: Reports
    running: Reports
    ruling: Reports


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
    return _read(warehouse, keys, _FIRST_DAY, _last_whole_day(question, zone))


def _read(warehouse: Warehouse, keys: Sequence[str], first: date, last: date) -> Reports:
    values = {"experiments": list(keys) or [""], "from_day": first, "until_day": last}
    return Reports(
        totals=_by_experiment(warehouse.query("portable/aggregate_totals", **values)),
        creatives=_by_experiment(warehouse.query("portable/aggregate_creatives", **values)),
    )


def view_reports(
    warehouse: Warehouse,
    experiment: Experiment,
    asked: Reports,
    *,
    run: Run,
    question: Question,
    zone: ZoneInfo,
) -> ReportViews:
    """Return those reports that count, and those that the verdict rests on.

    A day counts when the experiment ran in it, and for the verdict when it ended before the
    decision look. An experiment that was assigned elsewhere, or never started, has no such bounds.

    Args:
        warehouse: The open store.
        experiment: As its YAML says.
        asked: Everything that the question asks for.
        run: How it ran.
        question: What the reader wants to know.
        zone: Where a workspace day ends.
    """
    at, rows = decision_moment(experiment, run, zone), asked.totals.get(experiment.key, ())
    if at is None or run.started_at is None or not rows:
        return ReportViews(asked, asked, asked)
    first, until = run.started_at.astimezone(zone).date(), _last_whole_day(question, zone)
    if run.ended_at is not None:
        until = min(until, (run.ended_at.astimezone(zone) - timedelta.resolution).date())
    last = min(until, _last_whole_day(Question(as_of=at), zone))

    def between(last_day: date, known: Reports) -> Reports:
        if all(first <= row["first_day"] and row["last_day"] <= last_day for row in rows):
            return known
        return _read(warehouse, [experiment.key], first, last_day)

    running = between(until, asked)
    return ReportViews(asked, running, running if last == until else between(last, running))


def measure_aggregates(
    experiment: Experiment,
    reports: ReportViews,
    *,
    run: Run,
    question: Question,
    version: str,
    zone: ZoneInfo,
) -> Scorecard:
    """Measure an experiment that has pre-aggregated reports, or nothing at all.

    Args:
        experiment: As its YAML says.
        reports: The newest reports.
        run: How it ran.
        question: What the reader wants to know.
        version: The store's ``data_version``.
        zone: Where a workspace day ends.
    """
    rows, ruling = (
        found.totals.get(experiment.key, ()) for found in (reports.running, reports.ruling)
    )
    as_of = question.as_of or run.now
    look = find_fixed_look(experiment, run, known_until=as_of if rows else None, zone=zone)
    shown = list(_compare(experiment, rows))
    later = _shown(ruling) < _shown(rows)
    judged = list(_compare(experiment, ruling)) if later else shown
    judged = decide_families(experiment, judged) if look.reached else judged
    impressions = _impressions(experiment, rows)
    return Scorecard(
        experiment=experiment.key,
        as_of=as_of,
        data_version=version,
        status="final" if look.reached else "provisional",
        units=sum(impressions.values()),
        srm=_check_split(experiment, impressions),
        lifts=carry_over(shown, judged),
        warnings=(
            *(note_aggregates(ignored=False) if rows else ()),
            *note_no_traffic(experiment, (name for name, n in impressions.items() if not n)),
            *note_fixed(look),
            *note_outside(_shown(reports.asked.totals.get(experiment.key, ())) - _shown(rows)),
            *(note_later() if look.reached and later else ()),
            *note_samples(shown),
        ),
        look=look,
        facts=gather_facts(experiment, judged) if look.reached else (),
        creatives=_compare_creatives(experiment, reports.running),
        first_at=_start_of(min(row["first_day"] for row in rows), zone) if rows else None,
        last_at=_start_of(max(row["last_day"] for row in rows), zone) if rows else None,
    )


def _compare(experiment: Experiment, rows: Sequence[ReportRow]) -> Iterator[Compared]:
    metrics = listed_metrics(experiment)
    whole = read_aggregates(rows, metrics, level=None)
    yield from compare_levels(experiment, whole, metrics, None)
    for cut in experiment.breakdowns:
        if cut.by == "category":
            totals = read_aggregates(rows, metrics, level=cut.level)
            yield from compare_levels(experiment, totals, metrics, cut)


def _impressions(experiment: Experiment, rows: Sequence[ReportRow]) -> dict[str, int]:
    found = {variant.name: 0 for variant in experiment.variants}
    for row in rows:
        found[row["variant"]] = found.get(row["variant"], 0) + int(row["impressions"])
    return found


def _shown(rows: Sequence[ReportRow]) -> int:
    return sum(int(row["impressions"]) for row in rows)


def _check_split(experiment: Experiment, impressions: Mapping[str, int]) -> SrmCheck:
    test = chi_square(impressions, experiment.weights)
    if isinstance(test, Undetermined):
        return SrmCheck(impressions, dict.fromkeys(impressions, 0.0), None, None, "unavailable")
    return SrmCheck(
        test.observed, test.expected, test.p_value, None, "alarm" if test.alarm else "ok"
    )


def _compare_creatives(experiment: Experiment, reports: Reports) -> tuple[CreativeComparison, ...]:
    products = compare_aggregate_creatives(reports.creatives.get(experiment.key, ()))
    return compare_with_control(products, experiment.control.name)


def _by_experiment(frame: pl.DataFrame) -> dict[str, list[ReportRow]]:
    found: dict[str, list[ReportRow]] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(row["experiment"], []).append(row)
    return found


def _last_whole_day(question: Question, zone: ZoneInfo) -> date:
    if question.as_of is None:
        return _LAST_DAY
    return question.as_of.astimezone(zone).date() - timedelta(days=1)


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)
