"""Sums over units, in two steps: each unit's totals place by place, then sums over the units.

The first step is the expensive one. It reads the store's exact totals where they hold just the rows
that count (everything up to now, by category or altogether), else the exposures. Either way units
come in as many parts as the scope says, each a range of ``unit_slice``; the second step's sums are
integers and are added up over the parts, so the answer is the same and memory stays flat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import polars as pl

from abplatform.analysis.scorecard.scope import Scope, path_pattern
from abplatform.domain.metrics import Metric
from abplatform.logs.store.answering import Store

__all__ = ["PART_ROWS", "Places", "parts_for", "read_units", "slice_ranges"]

PART_ROWS: Final = 8_000_000
"""How many exposures one part of the units has, about; some 500 MB while they are added up."""

_SLICES: Final = 4096
_EVERY_SLICE: Final = (-(2**31), 2**31 - 1)
_STORED: Final = frozenset({"all", "category"})
_REPEATED: Final = frozenset({"unit_totals", "unit_products"})


@dataclass(frozen=True, slots=True)
class Places:
    """What tells a unit's totals apart.

    Args:
        by: What a place is: all, day, category, segment, channel, country, calendar, age, meeting.
        level: Depth of the category path.
        days: Workspace days inside of the calendar's place.
        other: The experiment that is met.
    """

    by: str = "all"
    level: int = 1
    days: Sequence[date] = ()
    other: str = ""


def parts_for(rows: int) -> int:
    """Return in how many parts the units behind so many exposures are read."""
    return max(1, -(-rows // PART_ROWS))


def read_units(
    warehouse: Store, scope: Scope, metric: Metric, places: Places, name: str
) -> pl.DataFrame:
    """Return what a query over ``unit_sums`` says of all units.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        metric: Says what k and n are.
        places: What tells a unit's totals apart.
        name: A query of ``portable/`` over the table ``unit_sums``. It returns texts, which name a
            row, and integers, which add up.
    """
    # What is staged beside the totals (histories) is not told by a key.
    repeats = places.by in _STORED and name in _REPEATED
    if repeats and scope.stored is not None and scope.is_stored(metric):
        key = (name, places.by, places.level, metric.numerator, metric.denominator, scope.bots)
        answers = scope.stored.answers
        if key not in answers:
            flat = _read_flat(warehouse, scope, metric, places) if name == "unit_totals" else None
            whole = _read_parts(warehouse, scope, metric, places, name) if flat is None else flat
            answers[key] = whole
        return answers[key]
    return _read_parts(warehouse, scope, metric, places, name)


def _read_flat(
    warehouse: Store, scope: Scope, metric: Metric, places: Places
) -> pl.DataFrame | None:
    """Return ``unit_totals`` by category without grouping units, if no categories share a place."""
    if places.by != "category":
        return None
    asked = scope.metric_values(metric)
    frame = warehouse.query(
        "portable/stored_category_totals",
        category_pattern=path_pattern(places.level),
        **{name: asked[name] for name in ("experiment", "bots", "numerator", "denominator")},
    )
    shared = frame["categories"].max()
    return frame.drop("categories") if shared in {None, 1} else None


def _read_parts(
    warehouse: Store, scope: Scope, metric: Metric, places: Places, name: str
) -> pl.DataFrame:
    parts = _each_part(warehouse, scope, metric, places)
    frames = [warehouse.query(f"portable/{name}") for _ in parts]
    if len(frames) == 1:
        return frames[0]
    keys = [column for column, kind in frames[0].schema.items() if kind == pl.String]
    return pl.concat(frames).group_by(keys).agg(pl.exclude(keys).sum()).sort(keys)


def _each_part(warehouse: Store, scope: Scope, metric: Metric, places: Places) -> Iterator[None]:
    """Keep the units' totals as the table ``unit_sums``, one part of them after another."""
    asked = scope.metric_values(metric)
    names = ["experiment", "numerator", "denominator"]
    if scope.approximate:
        source, values = "bucket_unit_sums", {name: asked[name] for name in names}
    elif places.by in _STORED and scope.is_stored(metric):
        source, values = "stored_unit_sums", {name: asked[name] for name in [*names, "bots"]}
    else:
        days = list(places.days) or [date.min]
        source, values = "unit_sums", asked | {"days": days, "other": places.other}
    values |= {"place": places.by, "category_pattern": path_pattern(places.level)}
    for low, high in slice_ranges(scope.parts):
        bounds = {"from_slice": low, "until_slice": high}
        warehouse.materialise("unit_sums", f"portable/{source}", **values, **bounds)
        yield
    warehouse.drop("unit_sums")


def slice_ranges(parts: int) -> list[tuple[int, int]]:
    """Return the range of ``unit_slice`` of each part, the upper end excluded."""
    if parts == 1:
        return [_EVERY_SLICE]
    ends = [_SLICES * part // parts for part in range(parts + 1)]
    return list(pairwise(ends))
