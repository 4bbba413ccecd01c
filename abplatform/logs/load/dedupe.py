"""Which events of a chunk are new, which came before, and which contradict one another.

The first version of an id is accepted; a further delivery of it is a duplicate. As soon as an id
has two versions, all of them are quarantined as ``conflicting_id``, so it does not matter in which
order or in which batches they came. A version that a re-emitted log replaced stays known: if it is
delivered once more, it is a duplicate.

Ids are compared by a 64-bit hash first: one pass over one column of the store, with the chunk as
the small side of the join, and no index. Only where a hash is known already, or comes twice in the
chunk, are whole rows read and compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from abplatform.logs.load.versions import VERSION, keys_of, versions_of
from abplatform.logs.store.warehouse import EVENT_TABLES, Warehouse

__all__ = ["PLACE", "Sorted", "sort_out"]

PLACE: Final = ["segment_number", "line", "key_hash"]
"""What tells two deliveries of one event apart."""

_COLUMNS: Final = list(VERSION)
_ID: Final = ["event_key", "content_hash"]
_NO_VERSIONS: Final = pl.DataFrame(schema=dict(VERSION))


@dataclass(frozen=True, slots=True)
class Sorted:
    """What becomes of a chunk's suspects; everything else in it is new.

    Args:
        duplicate: Versions of the chunk that have been delivered before.
        conflicting: New versions of ids that have several.
        withdrawn: What counted until now and is contradicted: versions with ``withdrawn_by``, the
            segment that did it.
        outlived: Those of ``conflicting`` that counted until a later segment of the same chunk
            contradicted them: :data:`PLACE` and ``withdrawn_by``.
    """

    duplicate: pl.DataFrame
    conflicting: pl.DataFrame
    withdrawn: pl.DataFrame
    outlived: pl.DataFrame

    @property
    def left_out(self) -> pl.DataFrame:
        """Versions of the chunk that are not inserted."""
        never = self.conflicting.join(self.outlived, on=PLACE, how="anti")
        return pl.concat([self.duplicate, never])


def sort_out(
    warehouse: Warehouse, tables: Mapping[str, pl.DataFrame], *, replacing: bool = False
) -> Sorted | None:
    """Tell new events from old ones; None when all are new.

    Args:
        warehouse: The open warehouse.
        tables: The chunk's rows by event table, with ``segment_number``.
        replacing: The chunk belongs to a re-emitted log, so that what such logs replaced is no
            longer known.
    """
    keys = keys_of(tables)
    with warehouse.stage("keys", keys):
        stored = warehouse.query("load/suspects")
    again = keys.filter(pl.col("key_hash").is_duplicated())
    suspects = pl.concat([stored.select("key_hash"), again]).unique()
    if suspects.is_empty():
        return None
    new = _union(
        versions_of(table, found)
        for table, rows in tables.items()
        if len(found := rows.join(suspects, on="key_hash", how="semi"))
    ).sort("segment_number", "line", maintain_order=True)
    known = _known_versions(warehouse, stored, suspects)
    return _judge(new, known.filter(~pl.col("superseded")) if replacing else known)


def _judge(new: pl.DataFrame, known: pl.DataFrame) -> Sorted:
    """Apply the rule to the suspects.

    Args:
        new: Versions of the chunk, in the order of their delivery.
        known: What is known of their ids: versions with ``superseded`` and ``live`` (an accepted
            row counts).
    """
    told = known.select(_ID).unique().with_columns(told=pl.lit(value=True))
    judged = new.join(told, on=_ID, how="left", maintain_order="left").with_columns(
        fresh=pl.struct(_ID).is_first_distinct() & pl.col("told").is_null()
    )
    fresh = judged.filter("fresh").select(_COLUMNS)
    rivals = known.filter(~pl.col("superseded"))
    several = (
        pl.concat([rivals.select(_ID), fresh.select(_ID)])
        .unique()
        .group_by("event_key")
        .len()
        .filter(pl.col("len") > 1)
    )
    conflicting = fresh.join(several, on="event_key", how="semi", maintain_order="left")
    culprits = conflicting.group_by("event_key").agg(
        withdrawn_by=pl.col("segment_number").min(),
        second=pl.col("segment_number").sort().slice(1, 1).first(),
    )
    withdrawn = rivals.filter("live").join(culprits, on="event_key", how="inner")
    alone = culprits.join(rivals, on="event_key", how="anti")
    outlived = (
        conflicting.unique("event_key", keep="first", maintain_order=True)
        .join(alone, on="event_key", how="inner")
        .filter(pl.col("second") > pl.col("segment_number"))
        .select(*PLACE, withdrawn_by="second")
    )
    return Sorted(
        duplicate=judged.filter(~pl.col("fresh")).select(_COLUMNS),
        conflicting=conflicting,
        withdrawn=withdrawn.select(*_COLUMNS, "withdrawn_by"),
        outlived=outlived,
    )


def _known_versions(
    warehouse: Warehouse, stored: pl.DataFrame, suspects: pl.DataFrame
) -> pl.DataFrame:
    """Read what is known of the suspects: versions, whether superseded, whether they are live."""
    parts = [_NO_VERSIONS.with_columns(superseded=pl.lit(value=False), live=pl.lit(value=False))]
    with warehouse.stage("suspects", suspects):
        for table in EVENT_TABLES:
            places = stored.filter(event_table=table)["segment_number"]
            if len(places):
                # Rows lie in the order of their segments, so that the range spares most of them.
                bounds = {"first": places.min(), "last": places.max()}
                rows = warehouse.query("load/stored_versions", table=table, **bounds)
                parts.append(_stored(table, rows))
        quarantined = warehouse.query("load/quarantined_versions")
    aside = quarantined.with_columns(live=pl.lit(value=False))
    return pl.concat([*parts, aside], how="diagonal")


def _stored(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that a conflict withdrew stand in the quarantine, too, and are left to it."""
    live = pl.col("withdrawn_by").fill_null(0) == 0
    replaced = ~live & pl.col("superseded").fill_null(value=False)
    kept = rows.filter(live | replaced)
    states = kept.select(*PLACE, superseded=replaced, live=live).unique()
    return versions_of(table, kept).join(states, on=PLACE, how="left")


def _union(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([_NO_VERSIONS, *parts])
