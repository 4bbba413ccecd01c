"""What makes two deliveries one event: the id, and all that the event says.

An event is known by its id (a report's row by its key and revision). Its *content* is every column
of its rows but where they stand, the source (one event may arrive over two ways) and what is
derived from other columns. A *version* is an id with one content. The database compares contents,
by a 64-bit hash over id and content, and only those of events whose id came before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from abplatform.logs.store.tables import EVENT_TABLES
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["VERSION", "keys_of", "read_versions"]

VERSION: Final[Mapping[str, type[pl.DataType]]] = {
    "event_table": pl.String,
    "event_key": pl.String,
    "key_hash": pl.UInt64,
    "content_hash": pl.UInt64,
    "segment_number": pl.Int64,
    "line": pl.Int64,
    "source": pl.String,
    "ts_micros": pl.Int64,
}
"""What is told of a version."""

_STATE: Final = {"withdrawn_by": pl.Int64, "superseded": pl.Boolean, "stored": pl.Boolean}
_SILENT: Final = (
    *("segment_number", "line", "source", "key_hash"),
    *("withdrawn_by", "superseded", "marked", "stored"),
    *("unit_slice", "known_bot", "impression_hash"),
)
"""Columns that are no content: where a row stands, what became of it, and what is derived."""

_SILENT_REPORTS: Final = (*_SILENT, "event_id", "ts_micros")
"""A report's row is known by its key; its id and moment are those of one delivery."""


def keys_of(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return ``key_hash`` of every event in some tables: a row an event, whatever its ordinals."""
    told = [rows.select(pl.col("^key_hash|ordinal$")) for rows in tables.values()]
    parts = [_first_rows(rows).select("key_hash") for rows in told]
    return pl.concat([pl.DataFrame(schema={"key_hash": pl.UInt64}), *parts])


def read_versions(
    warehouse: Warehouse,
    tables: Mapping[str, pl.DataFrame],
    stored: pl.DataFrame,
    suspects: pl.DataFrame,
) -> pl.DataFrame:
    """Return the versions of suspect ids, in the store and in a chunk.

    Args:
        warehouse: The open warehouse.
        tables: The chunk's rows by event table, with ``segment_number``.
        stored: Where the store has some: ``event_table``, ``segment_number``.
        suspects: Their ``key_hash``, each once.

    Returns:
        The columns of :data:`VERSION`, and ``withdrawn_by``, ``superseded`` and ``stored``: whether
        the row stands in the store. In the order of their delivery.
    """
    places = stored.group_by("event_table").agg(
        first=pl.col("segment_number").min(), last=pl.col("segment_number").max()
    )
    bounds = {table: (first, last) for table, first, last in places.iter_rows()}
    parts = [pl.DataFrame(schema=dict(VERSION) | _STATE)]
    with warehouse.stage("suspects", suspects):
        for table in EVENT_TABLES:
            if table in tables or table in bounds:
                rows = _suspect_rows(warehouse, tables.get(table), table, suspects)
                if len(rows) or table in bounds:
                    first, last = bounds.get(table, (0, -1))
                    with warehouse.stage("rows", rows):
                        found = warehouse.query(
                            "load/versions",
                            table=table,
                            first=first,
                            last=last,
                            silent=_SILENT_REPORTS if table == "aggregates" else _SILENT,
                        )
                    parts.append(_whole_events(table, found))
    return pl.concat(parts).sort("segment_number", "line", maintain_order=True)


def _suspect_rows(
    warehouse: Warehouse, rows: pl.DataFrame | None, table: str, suspects: pl.DataFrame
) -> pl.DataFrame:
    if rows is None:
        return warehouse.query("load/no_rows", table=table)
    return rows.join(suspects, on="key_hash", how="semi")


def _whole_events(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Make one row of those of an event in several experiments."""
    if "ordinal" in rows.columns and rows["ordinal"].max() not in {0, None}:
        place = ["segment_number", "line", "key_hash"]
        whole = rows.group_by(place).agg(pl.col("content_hash").bitwise_xor())
        rows = _first_rows(rows.drop("content_hash")).join(whole, on=place)
    key = "event_key" if table == "aggregates" else "event_id"
    told = rows.with_columns(pl.lit(table).alias("event_table"), pl.col(key).alias("event_key"))
    return told.select(*VERSION, *_STATE)


def _first_rows(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("ordinal") == 0) if "ordinal" in rows.columns else rows
