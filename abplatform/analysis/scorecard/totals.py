"""From the store's rows to the sums that the statistics need, slice by slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.units import Places, read_units
from abplatform.domain.experiment import Breakdown
from abplatform.domain.metrics import Metric
from abplatform.logs.store.answering import Store
from abplatform.stats.ratio import RatioSums, Undetermined

__all__ = [
    "ALL",
    "NOBODY",
    "ReportRow",
    "Slice",
    "Totals",
    "read_aggregates",
    "read_totals",
]

ReportRow = Mapping[str, Any]
"""A row of pre-aggregated counts, column to value."""

ALL = ""
"""The level that holds everything, where there is no breakdown."""

_SUMS: Final = ("units", "n", "k", "nn", "kk", "kn", "n_units", "k_units")


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


def read_totals(
    warehouse: Store, scope: Scope, metrics: Sequence[Metric], breakdown: Breakdown | None
) -> Totals:
    """Read the sums of every metric, variant and level of one breakdown.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        metrics: What to read.
        breakdown: The cut, or None for everything together.
    """
    places = Places(breakdown.by, breakdown.level) if breakdown else Places()
    slices: dict[tuple[str, str, str], Slice] = {}
    for metric in metrics:
        frame = read_units(warehouse, scope, metric, places, "unit_totals")
        for row in frame.iter_rows(named=True):
            slices[row["place"], row["variant"], metric.name] = _slice(row, metric, scope)
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


def _slice(row: Mapping[str, Any], metric: Metric, scope: Scope) -> Slice:
    sums = RatioSums(*(int(row[name]) for name in _SUMS))
    if metric.numerator == "matched_impressions" and scope.matched is None:
        return replace(
            Slice.of(sums), sums=Undetermined("no_lineage: no creative's lineage is known")
        )
    return Slice.of(sums)


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
