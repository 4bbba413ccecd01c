"""Pre-aggregated reports of thousands of experiments, read in few queries.

Reports have no unit rows: a row is a day's counts of one creative. What they cannot tell of how
units vary is told by how days vary, or by what the workspace knows of its own units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.analysis.scorecard.looks import Question, Run, decision_moment
from abplatform.analysis.scorecard.record import Warned
from abplatform.analysis.scorecard.totals import ReportRow
from abplatform.domain.experiment import Experiment
from abplatform.logs.attribution import segment_of
from abplatform.logs.store.answering import Store
from abplatform.stats.dispersion import Dispersion, choose_dispersion, pearson_dispersion
from abplatform.stats.pairs import design_effect
from abplatform.stats.ratio import RatioSums

__all__ = [
    "ReportViews",
    "Reports",
    "final_days",
    "note_dispersion",
    "read_reports",
    "running_days",
    "view_reports",
]

Days = tuple[date, date]
"""First and last workspace day, both included."""

FIRST_DAY = date(1900, 1, 1)
LAST_DAY = date(2261, 12, 31)

_COUNTED = {
    "ctr": ("clicks", "impressions"),
    "cvr": ("conversions", "clicks"),
    "ctcvr": ("conversions", "impressions"),
}
"""Metrics that reports can tell: numerator and denominator in the rows of reports."""

_BY_UNIT = {"clicks": "clicked", "impressions": "impressions", "conversions": "conversions"}
"""The same columns where there are unit rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Reports:
    """The newest reports of several experiments.

    Args:
        totals: Rows of ``portable/aggregate_totals`` by experiment.
        creatives: Rows of ``portable/aggregate_creatives`` by experiment.
        dispersions: Experiment to metric to what multiplies the variance.
        watermarks: Experiment to the least watermark of its sources; missing where none is known.
        design_effects: Metric to the design effect of the workspace's own unit rows, where it has
            any.
    """

    totals: Mapping[str, Sequence[ReportRow]]
    creatives: Mapping[str, Sequence[ReportRow]]
    dispersions: Mapping[str, Mapping[str, Dispersion]] = field(default_factory=dict)
    watermarks: Mapping[str, datetime] = field(default_factory=dict)
    design_effects: Mapping[str, float] = field(default_factory=dict)

    def inflations(self, key: str) -> dict[str, float]:
        """Return what multiplies the variance of an experiment's metrics."""
        return {name: one.factor for name, one in self.dispersions.get(key, {}).items()}


@dataclass(frozen=True, slots=True, eq=False)
class ReportViews:
    """An experiment's reports, seen from closer and closer.

    Args:
        asked: Everything that the question asks for.
        running: Those of days in which the experiment ran, which the estimates rest on.
        ruling: Those of days before the decision look, which the verdict rests on.
    """

    asked: Reports
    running: Reports
    ruling: Reports


def read_reports(
    warehouse: Store,
    keys: Sequence[str],
    question: Question,
    zone: ZoneInfo,
    *,
    runs: Mapping[str, Run] | None = None,
    days: Mapping[str, Days] | None = None,
) -> Reports:
    """Read the reports of many experiments in a handful of queries.

    Args:
        warehouse: The open store.
        keys: The experiments.
        question: ``as_of`` leaves out days that end after it.
        zone: Where a workspace day ends.
        runs: Experiment to how it ran, which says whose reports a person has excluded.
        days: Experiment to the only days that count; missing where all do.
    """
    last = _last_whole_day(question.as_of, zone)
    bounds = {}
    for key in keys:
        begin, end = (days or {}).get(key, (FIRST_DAY, LAST_DAY))
        bounds[key] = (begin, min(end, last))
    excluded = _excluded(runs or {})
    watermarks = _watermarks(warehouse, keys, question, excluded)
    found = _read(warehouse, bounds, excluded=excluded, design_effects=None)
    return replace(found, watermarks=watermarks)


def view_reports(
    warehouse: Store,
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
    if at is None or not rows:
        return ReportViews(asked, asked, asked)
    first, until = running_days(experiment, run, zone)
    until = min(until, _last_whole_day(question.as_of, zone))
    last = min(until, _last_whole_day(at, zone))

    def between(last_day: date, known: Reports) -> Reports:
        if all(first <= row["first_day"] and row["last_day"] <= last_day for row in rows):
            return known
        bounds = {experiment.key: (first, last_day)}
        found = _read(
            warehouse,
            bounds,
            excluded=_excluded({experiment.key: run}),
            design_effects=asked.design_effects,
        )
        return replace(found, watermarks=asked.watermarks)

    running = between(until, asked)
    return ReportViews(asked, running, running if last == until else between(last, running))


def running_days(experiment: Experiment, run: Run | None, zone: ZoneInfo) -> Days:
    """Return the days in which an experiment ran; all, where it was assigned elsewhere.

    One that was re-weighted counts from the first whole day with the weights of now.

    Args:
        experiment: As its YAML says.
        run: How it ran, or None where nobody knows.
        zone: Where a workspace day ends.
    """
    if run is None or run.started_at is None or experiment.assignment == "external":
        return FIRST_DAY, LAST_DAY
    began, since = (moment.astimezone(zone) for moment in run.earlier_weights)
    first, last = since.date(), LAST_DAY
    if began < since and since.time() != time():
        first += timedelta(days=1)
    if run.ended_at is not None:
        last = (run.ended_at.astimezone(zone) - timedelta.resolution).date()
    return first, last


def final_days(
    warehouse: Store,
    experiments: Iterable[Experiment],
    *,
    runs: Mapping[str, Run],
    question: Question,
    zone: ZoneInfo,
) -> dict[str, Days]:
    """Return each experiment's days that it ran in and whose reports will not change any more.

    Networks correct a day's counts as late as other rows: a day is final when its source's
    watermark has passed its end by the attribution window and late data.

    Args:
        warehouse: The open store.
        experiments: As their YAML says.
        runs: Key to how it ran, where that is known.
        question: What the reader wants to know.
        zone: Where a workspace day ends.
    """
    chosen = list(experiments)
    marks = _watermarks(warehouse, [one.key for one in chosen], question, _excluded(runs))
    found = {}
    for one in chosen:
        first, last = running_days(one, runs.get(one.key), zone)
        known = [mark for mark in (marks.get(one.key), question.as_of) if mark is not None]
        if known:
            late = one.events.attribution_window + one.events.late_data
            last = min(last, _last_whole_day(min(known) - late, zone))
        found[one.key] = (first, last)
    return found


def note_dispersion(dispersion: Dispersion) -> Warned:
    """Say where the variance of reports comes from."""
    if dispersion.origin == "day_rows":
        text = (
            "pre-aggregated reports give no unit rows: variances are those of independent "
            f"impressions times {dispersion.factor:.3g}, as rates move from day to day "
            f"({dispersion.df} degrees of freedom)"
        )
        return Warned("variance_from_day_rows", text)
    if dispersion.origin == "design_effect":
        text = (
            "pre-aggregated reports give no unit rows: variances are those of independent "
            f"impressions times {dispersion.factor:.3g}, the design effect of this workspace's own "
            "experiments with unit rows"
        )
        return Warned("variance_from_design_effect", text)
    text = (
        "pre-aggregated reports give no unit rows: unit-level variance is unavailable, each "
        "impression counts as independent, and intervals may be too narrow"
    )
    return Warned("variance_assumes_independent_impressions", text)


def _excluded(runs: Mapping[str, Run]) -> list[str]:
    """Return the sources that people have excluded, as queries want them."""
    found = [f"{key}/{name}" for key, run in runs.items() for name in run.excluded_sources]
    # A list without an entry has no type.
    return found or [""]


def _read(
    warehouse: Store,
    bounds: Mapping[str, Days],
    *,
    excluded: list[str],
    design_effects: Mapping[str, float] | None,
) -> Reports:
    values: dict[str, Any] = {
        "experiments": list(bounds) or [""],
        "from_days": [first for first, _ in bounds.values()] or [FIRST_DAY],
        "until_days": [last for _, last in bounds.values()] or [LAST_DAY],
        "excluded": excluded,
    }
    totals = _by_experiment(warehouse.query("portable/aggregate_totals", **values))
    if not totals:
        return Reports({}, {})
    if design_effects is None:
        design_effects = _design_effects(warehouse)
    days = warehouse.query("portable/aggregate_days", **values).partition_by(
        "experiment", as_dict=True
    )
    dispersions = {}
    for key in totals:
        frame = days.get((key,))
        dispersions[key] = {
            name: _dispersion(frame, *columns, design_effect=design_effects.get(name))
            for name, columns in _COUNTED.items()
        }
    return Reports(
        totals=totals,
        creatives=_by_experiment(warehouse.query("portable/aggregate_creatives", **values)),
        dispersions=dispersions,
        design_effects=design_effects,
    )


def _dispersion(
    days: pl.DataFrame | None, top: str, bottom: str, *, design_effect: float | None
) -> Dispersion:
    cells: list[tuple[list[int], list[int]]] = []
    if days is not None:
        grouped = days.group_by("variant", "creative_id", maintain_order=True)
        cells = [(cell[top].to_list(), cell[bottom].to_list()) for _, cell in grouped]
    return choose_dispersion(pearson_dispersion(cells), design_effect=design_effect)


def _design_effects(warehouse: Store) -> dict[str, float]:
    """Return the design effect of the workspace's own unit rows by metric, pooled over variants."""
    rows = list(warehouse.query("portable/variant_totals").iter_rows(named=True))
    found = {}
    for name, columns in _COUNTED.items():
        top, bottom = (_BY_UNIT[column] for column in columns)
        sums = [_sums_of(row, top, bottom) for row in rows]
        told = [one for one in sums if one.units > 1 and 0 < one.k < one.n]
        if told:
            found[name] = design_effect(told)
    return found


def _sums_of(row: ReportRow, top: str, bottom: str) -> RatioSums:
    """Return the sums over units that a row of ``portable/variant_totals`` holds."""
    return RatioSums(
        units=int(row["units"]),
        n=int(row[bottom]),
        k=int(row[top]),
        nn=int(row[f"{bottom}_sq"]),
        kk=int(row[f"{top}_sq"]),
        kn=int(row[f"{top}_x_{bottom}"]),
        n_units=int(row[f"{bottom}_units"]),
        k_units=int(row[f"{top}_units"]),
    )


def _watermarks(
    warehouse: Store, keys: Sequence[str], question: Question, excluded: list[str]
) -> dict[str, datetime]:
    """Return the least watermark of each experiment's sources."""
    sources = warehouse.query(
        "portable/aggregate_sources", experiments=list(keys) or [""], excluded=excluded
    )
    if sources.is_empty():
        return {}
    if question.data_version is None:
        marks = warehouse.query("load/watermarks")
    else:
        known_until = segment_of(warehouse, question.data_version)
        marks = warehouse.query("load/watermarks_then", known_until=known_until)
    least = (
        sources.join(marks, on="source")
        .group_by("experiment")
        .agg(pl.col("watermark_micros").min().cast(pl.Datetime("us")))
    )
    return {key: moment.replace(tzinfo=UTC) for key, moment in least.iter_rows()}


def _by_experiment(frame: pl.DataFrame) -> dict[str, list[ReportRow]]:
    found: dict[str, list[ReportRow]] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(row["experiment"], []).append(row)
    return found


def _last_whole_day(moment: datetime | None, zone: ZoneInfo) -> date:
    """Return the last day that has ended by a moment."""
    if moment is None:
        return LAST_DAY
    return moment.astimezone(zone).date() - timedelta(days=1)
