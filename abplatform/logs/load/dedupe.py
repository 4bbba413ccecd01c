"""Which events of a batch are new, which came before, and which contradict one another.

An event is known by its id (a report's row by its key and revision); a *version* is an id with one
content. The first version of an id is accepted; a further delivery of it is a duplicate. As soon as
an id has two versions, all of them are quarantined as ``conflicting_id``, so it does not matter in
which order or in which batches they came.

Ids are compared by a 64-bit hash first; only where a hash is known already, or comes twice in the
batch, are the ids themselves compared. That costs a scan of one column and no index.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from abplatform.logs.store.warehouse import Warehouse

__all__ = ["Sorted", "sort_out"]


@dataclass(frozen=True, slots=True)
class Sorted:
    """What becomes of a batch.

    Args:
        accepted: Rows of the batch that count.
        conflicting: Rows whose id has several versions.
        duplicate: Rows that have been delivered before.
        withdrawn: What counted until now and contradicts this batch: ``segment_number``, ``line``,
            ``source``, ``event_key``, ``key_hash``, ``content_hash``.
    """

    accepted: pl.Series
    conflicting: pl.Series
    duplicate: pl.Series
    withdrawn: pl.DataFrame | None = None


def sort_out(warehouse: Warehouse, keys: pl.DataFrame) -> Sorted:
    """Tell new events from old ones.

    Args:
        warehouse: The open warehouse.
        keys: A row an event, as :func:`abplatform.logs.load.columns.keys_of` makes them.
    """
    none = keys["row"].clear()
    with warehouse.stage("keys", keys.select("row", "key_hash")):
        rows = warehouse.query("load/suspects")["row"]
    if rows.is_empty():
        return Sorted(accepted=keys["row"], conflicting=none, duplicate=none)
    suspects = keys[rows.cast(pl.UInt32)]
    with warehouse.stage("suspects", suspects.select("event_key", "key_hash")):
        known = warehouse.query("load/known_versions")
    versions = ["event_key", "content_hash"]
    told = known.select(versions).unique().with_columns(known=pl.lit(value=True))
    several = (
        pl.concat([told.select(versions), suspects.select(versions)])
        .unique()
        .group_by("event_key")
        .len()
        .filter(pl.col("len") > 1)
        .select("event_key", conflicting=pl.lit(value=True))
    )
    judged = (
        suspects.with_columns(first=pl.col("row") == pl.col("row").min().over(versions))
        .join(told, on=versions, how="left")
        .join(several, on="event_key", how="left")
        .with_columns(new=pl.col("first") & pl.col("known").is_null())
    )
    conflicting = judged.filter("new", pl.col("conflicting").is_not_null())["row"]
    duplicate = judged.filter(~pl.col("new"))["row"]
    left_out = pl.concat([conflicting, duplicate])
    return Sorted(
        accepted=keys.filter(~pl.col("row").is_in(left_out.implode()))["row"],
        conflicting=conflicting.sort(),
        duplicate=duplicate.sort(),
        withdrawn=known.filter("stored").join(several, on="event_key", how="semi"),
    )
