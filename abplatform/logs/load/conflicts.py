"""Ids that came with different content: every version is kept aside, with its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from abplatform.logs.load.dedupe import Sorted
from abplatform.logs.store.tables import EVENT_TABLES
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.validate import RAW_BYTES

__all__ = ["keep_raw_bytes", "quarantine_conflicts"]

_KEPT = ("segment_number", "line", "source", "event_key", "key_hash", "content_hash", "ts_micros")


def quarantine_conflicts(warehouse: Warehouse, found: Sorted) -> list[tuple[int, int]]:
    """Put contradicting versions aside, and take out of the tables those that counted until now.

    Args:
        warehouse: The open warehouse.
        found: What became of a chunk.

    Returns:
        Segment number and line of each, for :func:`keep_raw_bytes`.
    """
    for table in EVENT_TABLES:
        rows = found.withdrawn.filter(event_table=table)
        if len(rows):
            with warehouse.stage("withdrawn", rows):
                warehouse.execute("load/withdraw", table=table)
    versions = pl.concat([found.conflicting.select(_KEPT), found.withdrawn.select(_KEPT)])
    aside = versions.with_columns(
        reason=pl.lit("conflicting_id"),
        detail=pl.format("the id {} came with different content", pl.col("event_key")),
    )
    warehouse.fill("quarantine", aside)
    return list(versions.select("segment_number", "line").iter_rows())


def keep_raw_bytes(
    warehouse: Warehouse,
    conflicts: Mapping[int, set[int]],
    raw_lines: Callable[[int, set[int]], Iterator[tuple[int, bytes]]],
) -> None:
    """Give quarantined versions the bytes of their lines, read once more from the landing.

    Args:
        warehouse: The open warehouse.
        conflicts: Segment number to lines.
        raw_lines: Reads lines of a segment: line and bytes.
    """
    for number, wanted in conflicts.items():
        raws = {line: raw[:RAW_BYTES] for line, raw in raw_lines(number, wanted)}
        rows = [(number, line, raws.get(line, b"")) for line in sorted(wanted)]
        schema = {"segment_number": pl.Int64, "line": pl.Int64, "raw": pl.Binary}
        with warehouse.stage("raw", pl.DataFrame(rows, schema=schema, orient="row")):
            warehouse.execute("load/add_raw")
