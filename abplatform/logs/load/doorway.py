"""What a door asks, of columns: each distinct value is judged once."""

from __future__ import annotations

import polars as pl

from abplatform.logs.facts import to_micros
from abplatform.logs.validate import EARLIEST, Door

__all__ = ["pass_door"]

_EARLIEST_MICROS = to_micros(EARLIEST)


def pass_door(kind: str, rows: pl.DataFrame, door: Door) -> pl.Series | None:
    """Tell which events :meth:`Door.check` would let in; None: all of them.

    Args:
        kind: The event type.
        rows: Columns of wire fields of the right types.
        door: What they must fit.
    """
    masks = [_in_time(rows["ts_micros"], door)]
    if kind in {"impression", "decision", "aggregate"}:
        masks += [_known(rows, door), _category(rows, door)]
    elif kind in {"conversion", "cost"}:
        masks.append(_among(rows["currency"], door.currencies))
        if kind == "cost" and {"experiment", "variant"} <= set(rows.columns):
            said = rows["experiment"].is_not_null() & rows["variant"].is_not_null()
            known = _known(rows, door)
            masks.append(None if known is None else known | ~said)
    told = [mask for mask in masks if mask is not None]
    if not told:
        return None
    good = told[0]
    for mask in told[1:]:
        good = good & mask
    return good


def _in_time(ts_micros: pl.Series, door: Door) -> pl.Series | None:
    latest = to_micros(door.latest)
    fits = ts_micros.is_between(_EARLIEST_MICROS, latest)
    return None if fits.all() else fits


def _known(rows: pl.DataFrame, door: Door) -> pl.Series | None:
    """Tell which events' variants are known; a pair is looked up once."""
    pairs = ["experiment", "variant"]
    if rows["experiment"].n_unique() == 1 and (name := rows["experiment"][0]) is not None:
        if _is_taken(name, door):
            return None
        return _among(rows["variant"], door.variants.get(name, frozenset()))
    told = rows.select(pairs).unique()
    known = [_is_known(name, variant, door) for name, variant in told.iter_rows()]
    if all(known):
        return None
    judged = told.with_columns(pl.Series("known", known))
    return rows.select(pairs).join(judged, on=pairs, how="left", nulls_equal=True)["known"]


def _is_known(experiment: str | None, variant: str | None, door: Door) -> bool:
    if experiment is None or variant is None:
        return False
    return _is_taken(experiment, door) or variant in door.variants.get(experiment, frozenset())


def _is_taken(experiment: str, door: Door) -> bool:
    """Whether an experiment's variants are taken as they come."""
    return door.is_open and (experiment not in door.variants or experiment in door.declared)


def _category(rows: pl.DataFrame, door: Door) -> pl.Series | None:
    if "category" not in rows.columns:
        return None
    paths = rows["category"].unique().drop_nulls().to_list()
    bad = [path for path in paths if not door.is_category(path)]
    return ~rows["category"].is_in(bad).fill_null(value=False) if bad else None


def _among(values: pl.Series, allowed: frozenset[str]) -> pl.Series | None:
    fits = values.is_in(list(allowed)).fill_null(value=False)
    return None if fits.all() else fits
