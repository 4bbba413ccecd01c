"""From the store's rows to the sums that the statistics need, slice by slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from abplatform.domain.experiment import Breakdown, Experiment
from abplatform.domain.metrics import Metric, Total
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.ratio import RatioSums, Undetermined

__all__ = [
    "ALL",
    "BEGINNING",
    "FOREVER",
    "NOBODY",
    "ReportRow",
    "Scope",
    "Slice",
    "Totals",
    "conversion_delay",
    "naive",
    "path_pattern",
    "read_aggregates",
    "read_totals",
    "sums_of",
]

ReportRow = Mapping[str, Any]
"""A row of pre-aggregated counts, column to value."""

ALL = ""
"""The level that holds everything, where there is no breakdown."""

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Earlier than every event."""

FOREVER = datetime(2262, 1, 1, tzinfo=UTC)
"""Later than every event."""

_COLUMNS: Mapping[Total, str] = {
    "impressions": "impressions",
    "clicked_impressions": "clicked",
    "conversions": "conversions",
    "net_value_micros": "value",
    "cost_micros": "cost",
    "profit_micros": "profit",
    "shown": "shown",
    "decisions": "decisions",
    "score_micros": "score",
    "feedbacks": "feedbacks",
    "matched_impressions": "matched",
}
"""The columns in which queries give totals."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows of an experiment count.

    Args:
        experiment: The experiment.
        until: Event time up to which rows count, excluded.
        known: The moment to which watermarks are lowered.
        final: Whether rows that may still change are left out.
        bots: Whether flagged units count.
        matched: Creatives whose picture matches their product; None if no lineage says so.
        excluded_sources: Sources that a person has excluded; none of their rows count.
        flagged_until: A unit is a bot, or mixed, if an event before this moment shows it;
            None for ``until``, so that no later event changes what a look said.
    """

    experiment: Experiment
    until: datetime = FOREVER
    known: datetime = FOREVER
    final: bool = False
    bots: bool = False
    matched: frozenset[str] | None = None
    excluded_sources: tuple[str, ...] = ()
    flagged_until: datetime | None = None

    def values(self) -> dict[str, Any]:
        """Return what every query over exposures binds."""
        return {
            "experiment": self.experiment.key,
            "until": naive(self.until),
            "known": naive(self.known),
            "final": self.final,
            "bots": self.bots,
            "flagged_until": naive(self.flagged_until or self.until),
            # A list without an entry has no type.
            "excluded_sources": sorted(self.excluded_sources) or [""],
        }

    def metric_values(self, metric: Metric) -> dict[str, Any]:
        """Return what queries over one metric's numerator and denominator bind besides."""
        return {
            **self.values(),
            "extra": conversion_delay(self.experiment, metric),
            "by_event": self.by_event,
            "numerator": _COLUMNS[metric.numerator],
            "denominator": _COLUMNS[metric.denominator],
            "matched": self.matched_creatives,
        }

    @property
    def matched_creatives(self) -> list[str]:
        """``matched`` as queries bind it: a list without an entry has no type."""
        return sorted(self.matched or ()) or [""]

    @property
    def by_event(self) -> bool:
        """Whether each impression stands alone instead of each unit."""
        return self.experiment.unit == "request_id"


@dataclass(frozen=True, slots=True)
class Slice:
    """One variant in one slice and metric.

    Args:
        units: Units with at least one impression or held decision there.
        n: Denominator.
        k: Numerator.
        sums: For the statistics, or why there are none.
        inflation: What multiplies the variance that the sums show; 1 where they are over units.
    """

    units: int
    n: int
    k: int
    sums: RatioSums | Undetermined
    inflation: float = 1.0

    @classmethod
    def of(cls, sums: RatioSums) -> Slice:
        """Return the slice that these sums describe."""
        return cls(sums.units, sums.n, sums.k, sums)


NOBODY = RatioSums(0, 0, 0, 0, 0, 0, 0, 0)
"""The sums over no units."""

_EMPTY = Slice.of(NOBODY)


@dataclass(frozen=True, slots=True)
class Totals:
    """Slices by level, variant and metric.

    Args:
        slices: What was found; what is missing is empty.
    """

    slices: Mapping[tuple[str, str, str], Slice] = field(default_factory=dict)

    def at(self, level: str, variant: str, metric: str) -> Slice:
        """Return one slice."""
        return self.slices.get((level, variant, metric), _EMPTY)

    @property
    def levels(self) -> list[str]:
        """Levels, the one with the most units first."""
        units: dict[str, int] = {}
        for (level, _, _), part in self.slices.items():
            units[level] = units.get(level, 0) + part.units
        return sorted(units, key=lambda level: (-units[level], level))


def conversion_delay(experiment: Experiment, metric: Metric) -> timedelta:
    """Return how much longer than a click a metric's last event may take."""
    if not metric.needs_conversions:
        return timedelta(0)
    return experiment.events.conversion_window + experiment.events.refund_window


def read_totals(
    warehouse: Warehouse, scope: Scope, metrics: Sequence[Metric], breakdown: Breakdown | None
) -> Totals:
    """Read the sums of every metric, variant and level of one breakdown.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        metrics: What to read.
        breakdown: The cut, or None for everything together.
    """
    slices: dict[tuple[str, str, str], Slice] = {}
    delays = {metric.name: conversion_delay(scope.experiment, metric) for metric in metrics}
    # Only where provisional rows are left out does the delay choose other rows.
    distinct = set(delays.values()) if scope.final else {max(delays.values())}
    for delay in sorted(distinct):
        chosen = [m for m in metrics if not scope.final or delays[m.name] == delay]
        frame = warehouse.query(
            "portable/unit_totals",
            **scope.values(),
            extra=delay,
            by_event=scope.by_event,
            breakdown=breakdown.by if breakdown else "all",
            category_pattern=path_pattern(breakdown.level if breakdown else 1),
            matched=scope.matched_creatives,
        )
        for row in frame.iter_rows(named=True):
            for metric in chosen:
                key = (row["level"], row["variant"], metric.name)
                slices[key] = _slice(row, metric, scope)
    return Totals(slices)


def read_aggregates(
    rows: Iterable[ReportRow],
    metrics: Sequence[Metric],
    *,
    level: int | None,
    inflations: Mapping[str, float] | None = None,
) -> Totals:
    """Turn pre-aggregated counts into slices in which each impression is a unit.

    Args:
        rows: Rows of ``portable/aggregate_totals`` of one experiment.
        metrics: What is wanted.
        level: Depth of the category path, or None for everything together.
        inflations: Metric to what multiplies the variance of independent impressions.
    """
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        category = row["category"] or "unknown"
        name = ALL if level is None else "/".join(category.split("/")[:level])
        total = counts.setdefault((name, row["variant"]), {})
        for column in ("impressions", "clicks", "conversions", "value_micros", "cost_micros"):
            total[column] = total.get(column, 0) + int(row[column] or 0)
    return Totals(
        {
            (name, variant, metric.name): replace(
                _aggregate_slice(total, metric), inflation=(inflations or {}).get(metric.name, 1.0)
            )
            for (name, variant), total in counts.items()
            for metric in metrics
        }
    )


def naive(moment: datetime) -> datetime:
    """Return a moment as queries bind it: in UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def path_pattern(level: int) -> str:
    """Return the regular expression that cuts a category path at a depth."""
    return rf"^[^/]+(/[^/]+){{0,{level - 1}}}"


def _slice(row: Mapping[str, Any], metric: Metric, scope: Scope) -> Slice:
    top, bottom = _COLUMNS[metric.numerator], _COLUMNS[metric.denominator]
    units, n, k = int(row["units"]), int(row[bottom]), int(row[top])
    if metric.numerator == "matched_impressions" and scope.matched is None:
        return Slice(units, n, k, Undetermined("no_lineage: no creative's lineage is known"))
    return Slice.of(sums_of(row, top, bottom))


def sums_of(row: Mapping[str, Any], top: str, bottom: str) -> RatioSums:
    """Return the sums over units that a row of a totals query holds.

    Args:
        row: With ``units`` and, of each column, itself, ``_sq``, ``_units`` and ``top_x_bottom``.
        top: The numerator's column.
        bottom: The denominator's column.
    """
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


_NO_UNITS = "no_unit_rows: pre-aggregated reports do not show how {} varies from unit to unit"


def _aggregate_slice(total: Mapping[str, int], metric: Metric) -> Slice:
    """Each impression is a unit; a click or conversion is 0 or 1 of it."""
    known = {
        "impressions": total["impressions"],
        "clicked_impressions": total["clicks"],
        "conversions": total["conversions"],
        "net_value_micros": total["value_micros"],
        "cost_micros": total["cost_micros"],
        "profit_micros": total["value_micros"] - total["cost_micros"],
    }
    units = total["impressions"]
    n, k = known.get(metric.denominator, 0), known.get(metric.numerator, 0)
    if metric.name not in {"ctr", "cvr", "ctcvr"}:
        return Slice(units, n, k, Undetermined(_NO_UNITS.format(metric.name)))
    if not 0 <= k <= n <= units:
        reason = f"not_a_share: {k} of {n} in {units} impressions cannot each be 0 or 1"
        return Slice(units, n, k, Undetermined(reason))
    return Slice.of(RatioSums.independent(n, k, units=units))
