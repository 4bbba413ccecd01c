"""A re-emitted log in place of some hours of a source: what stood there counts no longer.

That a segment replaces hours is a fact of the segment, kept in its side file when it lands. So a
warehouse that is rebuilt loads it the same way and in the same order, and the same file for the
same hours is the same delivery. What is replaced stays in the landing and in its table, marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import polars as pl

from abplatform.errors import IngestError
from abplatform.logs.facts import to_micros
from abplatform.logs.landing import Hours, Segment
from abplatform.logs.load.reading import Reader
from abplatform.logs.store.tables import EVENT_TABLES
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.validate import Door

__all__ = ["check_replacement", "supersede"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def supersede(warehouse: Warehouse, number: int, hours: Hours) -> set[int]:
    """Take what stands in some hours out of what counts.

    Args:
        warehouse: The open warehouse, in the transaction that loads the segment.
        number: The segment that replaces it.
        hours: Which source's, and from when to when.

    Returns:
        The numbers of the segments that lost something.
    """
    since, until = to_micros(hours.since), to_micros(hours.until)
    for table in EVENT_TABLES:
        warehouse.execute(
            "load/supersede",
            table=table,
            segment_number=number,
            source=hours.source,
            from_micros=since,
            to_micros=until,
        )
    warehouse.execute(
        "load/supersede_conflicts",
        segment_number=number,
        source=hours.source,
        from_micros=since,
        to_micros=until,
    )
    found = warehouse.query("load/superseded_segments", segment_number=number)
    return set(found["segment_number"].to_list())


def check_replacement(reader: Reader, door: Door, hours: Hours) -> None:
    """Refuse a log that cannot stand in place of some hours; reads it whole.

    Args:
        reader: Of the file, before it lands.
        door: What its events must fit.
        hours: What it is to replace.

    Raises:
        IngestError: It holds an event of another time or source, or no valid event at all.
    """
    empty = True
    for batch in reader.batches(door):
        for table in EVENT_TABLES:
            if table in batch.tables:
                empty = False
                _check_rows(batch.tables[table], reader.segment, hours)
    if empty:
        raise IngestError(
            "the file has no valid event to put in place of those hours",
            path=reader.segment.path,
            remedy="look at its lines with --dry-run",
        )


def _check_rows(rows: pl.DataFrame, segment: Segment, hours: Hours) -> None:
    inside = pl.col("ts_micros").is_between(
        to_micros(hours.since), to_micros(hours.until), closed="left"
    )
    outside = rows.filter(~inside | (pl.col("source") != hours.source)).head(1)
    if outside.is_empty():
        return
    row: Mapping[str, object] = outside.row(0, named=True)
    line, source, micros = row["line"], row["source"], row["ts_micros"]
    if not isinstance(line, int) or not isinstance(micros, int):
        raise TypeError("event tables have whole lines and times")
    told = f"{hours.since.isoformat()} to {hours.until.isoformat()}"
    moment = (_EPOCH + timedelta(microseconds=micros)).isoformat()
    problem = (
        f"the event is of the source {source!r}, not of {hours.source!r}"
        if source != hours.source
        else f"the event's time {moment} is outside of what is replaced, {told}"
    )
    raise IngestError(
        problem,
        path=segment.path,
        line=line,
        remedy="name hours that hold every event of the file; --to is not part of them",
    )
