"""What units did before an experiment, beside the moments of what they do in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Literal

import numpy as np
import polars as pl

from abplatform.analysis.scorecard.looks import Run
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.units import Places, read_units
from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import Metric
from abplatform.logs.histories import HISTORY_SCHEMA, read_histories
from abplatform.logs.store.answering import Store
from abplatform.stats.moments import UnitMoments

__all__ = ["History", "Known", "read_history", "with_history"]

_COVARIATES = ("x1", "x2")
"""Kinds that hold the pre-period totals of the numerator and the denominator."""

Known = Mapping[str, int]
"""Variant to how many of its units have a history."""

_MILLIONTHS = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The pre-period totals of an experiment's units.

    Args:
        units: The columns of :data:`HISTORY_SCHEMA`.
        names: What people call the two covariates; one only where one attribute is named.
        scale: Multiplies a coefficient for people.
    """

    units: pl.DataFrame
    names: tuple[str, ...]
    scale: float = 1.0

    @property
    def covariates(self) -> tuple[str, ...]:
        """Kinds that hold them."""
        return _COVARIATES[: len(self.names)]


def read_history(
    warehouse: Store,
    experiment: Experiment,
    run: Run,
    *,
    version: str,
    first_at: datetime | None,
) -> History | None:
    """Return the pre-period totals that the YAML asks for; None where it asks for none.

    Args:
        warehouse: The open store.
        experiment: Says where they come from.
        run: Says when it started.
        version: The data version up to which events are known.
        first_at: The first exposure that counts: the start of an experiment that was assigned
            elsewhere.
    """
    cuped = experiment.analysis.cuped
    before = run.exposed_since or run.started_at or first_at
    if cuped is None:
        return None
    names: tuple[str, ...] = ("clicks", "impressions")
    scale = 1.0
    if cuped.window is None:
        given = (cuped.numerator, cuped.denominator)
        names, scale = tuple(name for name in given if name is not None), _MILLIONTHS
    if before is None:
        return History(HISTORY_SCHEMA.to_frame(), names, scale)
    units = read_histories(warehouse, experiment, cuped, version=version, before=before)
    if cuped.window is None and cuped.numerator is None:
        units = units.with_columns(x1="x2")
    return History(units, names, scale)


def with_history(
    warehouse: Store,
    scope: Scope,
    metric: Metric,
    *,
    moments: Mapping[str, UnitMoments],
    history: History,
    place: Literal["day", "all"] = "day",
) -> tuple[dict[str, UnitMoments], list[Known]]:
    """Return moments of running totals with the covariates as further kinds.

    Args:
        warehouse: The open store.
        scope: Which rows count; that of the moments.
        metric: What is measured; that of the moments.
        moments: Variant to moments with the kinds ``k``, ``n``, ``u``, running over days
            (``read_day_moments``) or of one place that holds everything.
        history: The pre-period totals.
        place: Whether the moments' places are days.

    Returns:
        The moments, and how many units of each variant have a history up to each place.
    """
    with warehouse.stage("histories", history.units):
        frame = read_units(warehouse, scope, metric, Places(place), "history_products")
    found = {
        name: _widen(one, frame.filter(variant=name), history.covariates)
        for name, one in moments.items()
    }
    counted = frame.group_by("variant", "first_place").agg(pl.col("units_with_history").sum())
    known = {(variant, place): int(units) for variant, place, units in counted.iter_rows()}
    running = {
        name: list(accumulate(known.get((name, place), 0) for place in one.places))
        for name, one in moments.items()
    }
    places = range(len(next(iter(moments.values())).places))
    return found, [{name: units[at] for name, units in running.items()} for at in places]


def _widen(moments: UnitMoments, rows: pl.DataFrame, covariates: Sequence[str]) -> UnitMoments:
    """Add the covariates, which a unit carries at its first place, to running totals."""
    index = {place: at for at, place in enumerate(moments.places)}
    old, size = len(moments.kinds), len(moments.places)
    kinds = (*moments.kinds, *covariates)
    sums = np.zeros((len(kinds), size), dtype=object)
    products = np.zeros((len(kinds), size, len(kinds), size), dtype=object)
    for row in rows.iter_rows(named=True):
        first, place = index.get(row["first_place"]), index.get(row["place"])
        if first is None or place is None:
            continue
        for x, name in enumerate(covariates, start=old):
            for kind in ("k", "n"):
                at, value = moments.at(kind), int(row[name + kind])
                products[x, first, at, place] = products[at, place, x, first] = value
            if first == place:
                u, value = moments.at("u"), int(row[name])
                sums[x, first] = value
                products[x, first, u, first] = products[u, first, x, first] = value
                for y, other in enumerate(covariates[: x - old + 1], start=old):
                    value = int(row[other + name])
                    products[x, first, y, first] = products[y, first, x, first] = value
    sums, products = np.cumsum(sums, axis=1), np.cumsum(np.cumsum(products, axis=1), axis=3)
    sums[:old], products[:old, :, :old] = moments.sums, moments.products
    return UnitMoments(kinds, moments.places, sums, products, moments.counts)
