"""From the store's rows to moments of units: day by day, or level by level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import accumulate
from typing import Any

import numpy as np
import polars as pl

from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.units import Places, read_units
from abplatform.domain.experiment import Breakdown
from abplatform.domain.metrics import Metric
from abplatform.logs.store.answering import Store
from abplatform.stats.moments import Counts, UnitMoments

__all__ = [
    "read_age_moments",
    "read_calendar_moments",
    "read_day_moments",
    "read_level_moments",
    "read_meeting_moments",
]

_KINDS = ("k", "n", "u")


def read_day_moments(
    warehouse: Store, scope: Scope, metric: Metric, *, days: Sequence[date]
) -> dict[str, UnitMoments]:
    """Return each variant's moments of running totals at the end of each day.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        metric: What is measured.
        days: The workspace days in order, those without rows included; rows of other days do not
            count.

    Returns:
        Variant to moments whose place p holds everything of ``days[0]`` … ``days[p]``.
    """
    frame = _read(warehouse, scope, metric, Places("day"))
    places = tuple(day.isoformat() for day in days)
    found = {}
    for variant in scope.experiment.variants:
        rows = frame.filter(pl.col("variant") == variant.name)
        daily = _moments(rows, places)
        own = _by_place(rows, places)
        running = zip(
            *(_running(own, name) for name in ("u", "first_n", "first_k")),
            strict=True,
        )
        found[variant.name] = daily.cumulated([Counts(*counts) for counts in running])
    return found


def read_level_moments(
    warehouse: Store, scope: Scope, metric: Metric, breakdown: Breakdown
) -> dict[str, UnitMoments]:
    """Return each variant's moments over the levels of one breakdown, which units may span.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        metric: What is measured.
        breakdown: By category, segment, channel or country.

    Returns:
        Variant to moments; every variant has the same places, in order of their names.
    """
    frame = _read(warehouse, scope, metric, Places(breakdown.by, breakdown.level))
    return _of_variants(frame, scope)


def read_age_moments(warehouse: Store, scope: Scope, metric: Metric) -> dict[str, UnitMoments]:
    """Return each variant's moments by days since a unit was first seen, of units seen again.

    Returns:
        Variant to moments over the places 0, 1-2, 3-6 and 7+, as far as there are rows.
    """
    return _of_variants(_read(warehouse, scope, metric, Places("age")), scope)


def read_calendar_moments(
    warehouse: Store, scope: Scope, metric: Metric, days: Sequence[date]
) -> dict[str, UnitMoments]:
    """Return each variant's moments ``inside`` and ``outside`` of the given workspace days."""
    return _of_variants(_read(warehouse, scope, metric, Places("calendar", days=days)), scope)


def read_meeting_moments(
    warehouse: Store, scope: Scope, metric: Metric, other: str
) -> dict[str, UnitMoments]:
    """Return each variant's moments by the units' variant in another experiment.

    A unit's rows count from its first exposure there on.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        metric: What is measured.
        other: The other experiment's key.
    """
    return _of_variants(_read(warehouse, scope, metric, Places("meeting", other=other)), scope)


def _of_variants(frame: pl.DataFrame, scope: Scope) -> dict[str, UnitMoments]:
    places = tuple(sorted(set(frame["first_place"])))
    return {
        variant.name: _moments(frame.filter(pl.col("variant") == variant.name), places)
        for variant in scope.experiment.variants
    }


def _read(warehouse: Store, scope: Scope, metric: Metric, places: Places) -> pl.DataFrame:
    return read_units(warehouse, scope, metric, places, "unit_products")


def _moments(rows: pl.DataFrame, places: tuple[str, ...]) -> UnitMoments:
    index = {place: at for at, place in enumerate(places)}
    shape = (len(_KINDS), len(places))
    sums, products = np.zeros(shape, dtype=object), np.zeros((*shape, *shape), dtype=object)
    for row in rows.iter_rows(named=True):
        first, second = index.get(row["first_place"]), index.get(row["second_place"])
        if first is None or second is None:
            continue
        for a, one in enumerate(_KINDS):
            for b, other in enumerate(_KINDS):
                value = int(row[one + other])
                products[a, first, b, second] = products[b, second, a, first] = value
            if first == second:
                sums[a, first] = int(row[one])
    counts = tuple(
        Counts(*(int(row.get(name, 0)) for name in ("units", "n_units", "k_units")))
        for row in _by_place(rows, places)
    )
    return UnitMoments(_KINDS, places, sums, products, counts)


def _running(rows: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    return list(accumulate(int(row.get(name, 0)) for row in rows))


def _by_place(rows: pl.DataFrame, places: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is known of each place alone, an empty row where nothing is."""
    alone = rows.filter(pl.col("first_place") == pl.col("second_place"))
    known = {row["first_place"]: row for row in alone.iter_rows(named=True)}
    return [known.get(place, {}) for place in places]
