"""What makes two deliveries one event: the id, and all that the event says.

An event is known by its id (a report's row by its key and revision). Its *content* is every column
of its rows but where they stand, the source (one event may arrive over two ways) and what is
derived from other columns. A *version* is an id with one content, known by a 64-bit hash of it;
hashes are computed only for events whose id came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl
import polars_hash  # noqa: F401 -- importing it registers Expr.nchash

__all__ = ["VERSION", "keys_of", "versions_of"]

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
"""Columns of :func:`versions_of`."""

_PLACE: Final = frozenset({"segment_number", "line", "withdrawn_by", "superseded", "source"})
_IDENTITY: Final = frozenset({"event_id", "event_key", "key_hash", "content_hash"})
_DERIVED: Final = frozenset({"unit_slice", "known_bot", "impression_hash", "marked"})
_CONVERTED: Final[Mapping[str, frozenset[str]]] = {
    # The amount in the workspace's currency moves with the rates; paid_micros is what was said.
    "conversions": frozenset({"value_micros"}),
    "costs": frozenset({"cost_micros"}),
}
_COUNTS: Final = ("impressions", "clicks", "conversions", "value_micros", "cost_micros")
_SEPARATOR: Final = "\x1f"


def keys_of(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return ``key_hash`` of every event in some tables: a row an event, whatever its ordinals."""
    parts = [_first_rows(rows).select("key_hash") for rows in tables.values()]
    return pl.concat([pl.DataFrame(schema={"key_hash": pl.UInt64}), *parts])


def versions_of(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row an event with the hash of its content.

    Args:
        table: An event table.
        rows: Some of its rows; all ordinals of an event.

    Returns:
        The columns of :data:`VERSION`.
    """
    key = "event_key" if table == "aggregates" else "event_id"
    said = rows.with_columns(content=_content(table, rows.columns))
    if "ordinal" in rows.columns and len(rows) and rows["ordinal"].max() != 0:
        place = ["segment_number", "line", "key_hash"]
        whole = (
            said.sort("ordinal")
            .group_by(place)
            .agg(pl.col("content").str.join(_SEPARATOR).alias("content"))
        )
        said = _first_rows(said.drop("content")).join(whole, on=place, how="left")
    # The namespace is registered at run time, so its type is unknown.
    hashed = pl.col("content").nchash.xxh3_64()  # type: ignore[attr-defined]
    return said.select(
        pl.lit(table).alias("event_table"),
        pl.col(key).alias("event_key"),
        "key_hash",
        hashed.alias("content_hash"),
        "segment_number",
        "line",
        "source",
        "ts_micros",
    )


def _content(table: str, columns: Iterable[str]) -> pl.Expr:
    """One text of all that a row says; columns without a value leave no trace in it."""
    if table == "aggregates":
        names = list(_COUNTS)
    else:
        silent = _PLACE | _IDENTITY | _DERIVED | _CONVERTED.get(table, frozenset())
        names = sorted(set(columns) - silent)
    said = [pl.lit(f"{name}=") + pl.col(name).cast(pl.String) for name in names]
    return pl.concat_str([pl.lit(table), *said], separator=_SEPARATOR, ignore_nulls=True)


def _first_rows(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("ordinal") == 0) if "ordinal" in rows.columns else rows
