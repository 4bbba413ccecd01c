"""What makes two deliveries one event: the id, and all that the event says.

An event is known by its id (a report's row by its key and revision). Its *content* is every column
of its rows but where they stand, the source (one event may arrive over two ways) and what is
derived from other columns. A *version* is an id with one content. The database compares contents,
by a 64-bit hash over id and content, and only those of events whose id came before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from abplatform.logs.store.tables import EVENT_TABLES
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["VERSION", "first_rows", "keys_of", "read_versions", "told_again"]

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
    *("withdrawn_by", "superseded", "marked", "stored", "side"),
    *("unit_slice", "known_bot", "impression_hash"),
)
"""Columns that are no content: where a row stands, what became of it, and what is derived."""

_SILENT_REPORTS: Final = (*_SILENT, "event_id", "ts_micros")
"""A report's row is known by its key; its id and moment are those of one delivery."""


def keys_of(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return ``key_hash`` of every event in some tables: a row an event, whatever its ordinals."""
    parts = [first_rows(rows, ["key_hash"]) for rows in tables.values()]
    return pl.concat([pl.DataFrame(schema={"key_hash": pl.UInt64}), *parts])


def told_again(
    warehouse: Warehouse, tables: Mapping[str, pl.DataFrame], stored: pl.DataFrame
) -> pl.DataFrame:
    """Return which events the store has with the very content that the chunk has: ``key_hash``.

    Nothing but hashes leaves the database, so that a log that comes a second time costs little.

    Args:
        warehouse: The open warehouse.
        tables: The chunk's rows by event table, with ``segment_number``.
        stored: Where the store has those in question: ``key_hash``, ``event_table``,
            ``segment_number``. Each stands once in the store and once in the chunk.
    """
    parts = [pl.DataFrame(schema={"key_hash": pl.UInt64})]
    for table, bounds in _bounds(stored).items():
        suspects = stored.filter(event_table=table).select("key_hash")
        rows = _suspect_rows(warehouse, tables.get(table), table, suspects)
        with warehouse.stage("suspects", suspects), warehouse.stage("rows", rows):
            silent = _silent(table)
            parts.append(warehouse.query("load/told_again", table=table, silent=silent, **bounds))
    return pl.concat(parts)


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
    places = _bounds(stored)
    parts = [pl.DataFrame(schema=dict(VERSION) | _STATE)]
    with warehouse.stage("suspects", suspects):
        for table in EVENT_TABLES:
            if table in tables or table in places:
                rows = _suspect_rows(warehouse, tables.get(table), table, suspects)
                if len(rows) or table in places:
                    bounds = places.get(table, {"first": 0, "last": -1})
                    with warehouse.stage("rows", rows):
                        silent = _silent(table)
                        found = warehouse.query(
                            "load/versions", table=table, silent=silent, **bounds
                        )
                    parts.append(_whole_events(table, found))
    return pl.concat(parts).sort("segment_number", "line", maintain_order=True)


def _bounds(stored: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return the first and the last segment that suspects stand in, by event table."""
    places = stored.group_by("event_table").agg(
        first=pl.col("segment_number").min(), last=pl.col("segment_number").max()
    )
    return {table: {"first": first, "last": last} for table, first, last in places.iter_rows()}


def _silent(table: str) -> tuple[str, ...]:
    return _SILENT_REPORTS if table == "aggregates" else _SILENT


def _suspect_rows(
    warehouse: Warehouse, rows: pl.DataFrame | None, table: str, suspects: pl.DataFrame
) -> pl.DataFrame:
    if rows is None:
        return warehouse.query("load/no_rows", table=table)
    is_suspect = rows["key_hash"].is_in(suspects["key_hash"].implode())
    return rows if is_suspect.all() else rows.filter(is_suspect)


def _whole_events(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Make one row of those of an event in several experiments."""
    if "ordinal" in rows.columns and rows["ordinal"].max() not in {0, None}:
        place = ["segment_number", "line", "key_hash"]
        whole = rows.group_by(place).agg(pl.col("content_hash").bitwise_xor())
        rows = rows.drop("content_hash").filter(pl.col("ordinal") == 0).join(whole, on=place)
    key = "event_key" if table == "aggregates" else "event_id"
    told = rows.with_columns(pl.lit(table).alias("event_table"), pl.col(key).alias("event_key"))
    return told.select(*VERSION, *_STATE)


def first_rows(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return some columns of one row an event: of the first of those that it stands in."""
    if "ordinal" not in rows.columns:
        return rows.select(columns)
    return rows.select(*columns, "ordinal").filter(pl.col("ordinal") == 0).drop("ordinal")
