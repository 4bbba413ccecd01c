"""The ledger: what became of every line, a row for each segment and source, and it adds up."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from abplatform.errors import StoreError
from abplatform.logs.facts import to_micros
from abplatform.logs.landing import Segment
from abplatform.logs.store.answering import data_version_of
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["Entry", "Versions", "check_identities", "close_ledger", "note_segments", "rank_reports"]


@dataclass(slots=True)
class Entry:
    """What was counted of one source in one segment while reading.

    Args:
        received: Events and rejects.
        duplicate: Events that had been delivered before.
        forgotten: Events that were removed on request before they were read.
    """

    received: int = 0
    duplicate: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Versions:
    """The data versions that the store passes through while segments come in.

    Args:
        identities: What the store holds so far, sorted, each once.
    """

    identities: list[str] = field(default_factory=list)

    def after(self, identity: str) -> str:
        """Take in a segment's identity and return the version that this makes."""
        place = bisect_left(self.identities, identity)
        if self.identities[place : place + 1] != [identity]:
            insort(self.identities, identity)
        return data_version_of(self.identities)


def note_segments(warehouse: Warehouse, segments: Sequence[Segment], versions: Versions) -> None:
    """Note loaded segments, each with the data version that it made."""
    names = ("segment_number", "source", "path", "sha256", "identity", "landed_micros")
    rows = [
        (
            segment.number,
            segment.source,
            segment.path.name,
            segment.sha256,
            segment.identity,
            to_micros(segment.landed_at),
            versions.after(segment.identity),
        )
        for segment in segments
    ]
    frame = pl.DataFrame(rows, schema=[*names, "data_version"], orient="row")
    warehouse.fill("segments", frame)


def close_ledger(
    warehouse: Warehouse, entries: dict[tuple[int, str], Entry], touched: Iterable[int]
) -> None:
    """Write a transaction's ledger rows and count anew what it touched.

    Args:
        warehouse: The open warehouse, in the transaction.
        entries: By segment number and source.
        touched: Numbers of earlier segments whose events it withdrew or superseded.

    Raises:
        StoreError: The identity does not hold: a defect; the transaction must be undone.
    """
    names = ("contained", "received", "duplicate", "forgotten")
    rows = [
        (number, source, one.received, one.received, one.duplicate, one.forgotten)
        for (number, source), one in sorted(entries.items())
    ]
    schema = dict.fromkeys(("segment_number", "source", *names), pl.Int64) | {"source": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    zeros = {name: pl.lit(0) for name in ("accepted", "quarantined", "superseded")}
    warehouse.fill("ledger", frame.with_columns(**zeros))
    new = {number for number, _ in entries}
    also = _rank_reports(warehouse, min(new, default=0))
    settle(warehouse, {*new, *touched, *also})


def settle(warehouse: Warehouse, numbers: Iterable[int]) -> None:
    """Count anew what of some segments is accepted, quarantined and superseded.

    Args:
        warehouse: The open warehouse.
        numbers: Of the segments.

    Raises:
        StoreError: The identity does not hold.
    """
    touched = pl.DataFrame({"segment_number": pl.Series(sorted(set(numbers)), dtype=pl.Int64)})
    with warehouse.stage("touched", touched):
        warehouse.execute("load/settle_ledger")
        broken = warehouse.query("load/broken_identities")
    if len(broken):
        raise StoreError(
            f"the counts do not add up: {broken.to_dicts()[0]}",
            remedy="nothing was stored of this segment; please report this with the segment",
        )


def check_identities(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Count everything in the store anew and return where the ledger says something else.

    Returns:
        Rows of ``queries/load/recount.sql``; empty when all is well.
    """
    return warehouse.query("load/recount").to_dicts()


def rank_reports(warehouse: Warehouse) -> None:
    """Mark which rows of reports are outranked, where categories got other names since.

    Raises:
        StoreError: The identity does not hold: a defect; nothing is changed.
    """
    if dict(warehouse.query("load/meta").iter_rows()).get("reports") == "":
        with warehouse.transaction():
            settle(warehouse, _rank_reports(warehouse, 0))
            warehouse.execute("load/set_meta", name="reports", value="ranked")


def _rank_reports(warehouse: Warehouse, first: int) -> list[int]:
    """Mark rows of reports that are outranked since a segment; return whose rows changed."""
    changed = warehouse.query("load/outranked", first=first)
    if changed.is_empty():
        return []
    with warehouse.stage("ranked", changed):
        warehouse.execute("load/rank")
    return changed["segment_number"].unique().to_list()
