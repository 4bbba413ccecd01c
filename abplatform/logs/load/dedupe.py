"""Which events of a chunk are new, which came before, and which contradict one another.

The first version of an id is accepted; a further delivery of it is a duplicate. As soon as an id
has two versions, all of them are quarantined as ``conflicting_id``, so it does not matter in which
order or in which batches they came. A version that a re-emitted log replaced stays known: if it is
delivered once more, it is a duplicate. Where only one version is left that nothing replaced, the
sources agree: its next delivery is accepted.

Ids are compared by a 64-bit hash first: one pass over one column of the store, with the chunk as
the small side of the join, and no index. Only where a hash is known already, or comes twice in the
chunk, are whole rows compared: those of events told once before and once again within the database,
and only what differs, or came more often, is read out of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from abplatform.logs.load.versions import VERSION, first_rows, keys_of, read_versions, told_again
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["PLACE", "Sorted", "sort_out"]

PLACE: Final = ["segment_number", "line", "key_hash"]
"""What tells two deliveries of one event apart."""

_COLUMNS: Final = list(VERSION)
_REPEATED: Final = ["event_table", *PLACE, "source"]
_VERSION: Final = ["key_hash", "content_hash"]
"""Tells versions apart: the content's hash covers the id."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """What becomes of a chunk's suspects; everything else in it is new.

    Args:
        duplicate: Versions of the chunk that have been delivered before: :data:`PLACE`,
            ``event_table`` and ``source``.
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
        """Versions of the chunk that are not inserted: the columns of ``duplicate``."""
        never = self.conflicting.join(self.outlived, on=PLACE, how="anti")
        return pl.concat([self.duplicate, never.select(_REPEATED)])


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
    once = ~pl.col("key_hash").is_duplicated() & pl.col("event_table").is_not_null()
    simple = stored.filter(once).join(again, on="key_hash", how="anti")
    repeated = told_again(warehouse, tables, simple)
    suspects = suspects.join(repeated, on="key_hash", how="anti")
    stored = stored.join(suspects, on="key_hash", how="semi")
    versions = read_versions(warehouse, tables, stored, suspects)
    known = _known(warehouse, versions.filter("stored"), suspects)
    found = _judge(
        versions.filter(~pl.col("stored")).select(_COLUMNS),
        known.filter(~pl.col("superseded")) if replacing else known,
    )
    return replace(found, duplicate=pl.concat([found.duplicate, *_places(tables, repeated)]))


def _places(tables: Mapping[str, pl.DataFrame], repeated: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield where the chunk has events of some key hashes: the columns of ``duplicate``."""
    for table, rows in tables.items():
        mine = first_rows(rows, [*PLACE, "source"]).join(repeated, on="key_hash", how="semi")
        yield mine.with_columns(event_table=pl.lit(table)).select(_REPEATED)


def _known(warehouse: Warehouse, stored: pl.DataFrame, suspects: pl.DataFrame) -> pl.DataFrame:
    """Return what is known of the suspects: versions, whether superseded, whether they are live.

    Rows that a conflict withdrew stand in the quarantine, too, and are left to it.
    """
    live = pl.col("withdrawn_by").fill_null(0) == 0
    replaced = ~live & pl.col("superseded").fill_null(value=False)
    rows = stored.with_columns(superseded=replaced, live=live).filter(
        pl.col("superseded") | pl.col("live")
    )
    with warehouse.stage("suspects", suspects):
        aside = warehouse.query("load/quarantined_versions")
    return pl.concat(
        [
            rows.select(*_COLUMNS, "superseded", "live"),
            aside.with_columns(live=pl.lit(value=False)),
        ],
        how="diagonal",
    )


def _judge(new: pl.DataFrame, known: pl.DataFrame) -> Sorted:
    """Apply the rule to the suspects.

    Args:
        new: Versions of the chunk, in the order of their delivery.
        known: What is known of their ids: versions with ``superseded`` and ``live`` (an accepted
            row counts).
    """
    spent = known.join(_agreed(known), on=_VERSION, how="anti")
    told = new.join(spent, on=_VERSION, how="semi")
    untold = new.join(spent, on=_VERSION, how="anti", maintain_order="left")
    is_first = pl.struct(_VERSION).is_first_distinct()
    fresh = untold.filter(is_first)
    duplicate = pl.concat([told, untold.filter(~is_first)])
    rivals = known.filter(~pl.col("superseded")).join(fresh, on="event_key", how="semi")
    several = (
        pl.concat(
            [rivals.select("event_key", "content_hash"), fresh.select("event_key", "content_hash")]
        )
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
    outlived = (
        conflicting.unique("event_key", keep="first", maintain_order=True)
        .join(culprits.join(rivals, on="event_key", how="anti"), on="event_key", how="inner")
        .filter(pl.col("second") > pl.col("segment_number"))
        .select(*PLACE, withdrawn_by="second")
    )
    return Sorted(
        duplicate=duplicate.select(_REPEATED),
        conflicting=conflicting,
        withdrawn=withdrawn.select(*_COLUMNS, "withdrawn_by"),
        outlived=outlived,
    )


def _agreed(known: pl.DataFrame) -> pl.DataFrame:
    """Return versions that stand aside though their last rival was replaced: keys of a version."""
    valid = known.filter(~pl.col("superseded"))
    kinds = pl.col("content_hash").n_unique()
    alone = valid.group_by("key_hash", "event_key").agg(
        pl.col("content_hash").first(), is_agreed=(kinds == 1) & ~pl.col("live").any()
    )
    return alone.filter("is_agreed").select(_VERSION)
