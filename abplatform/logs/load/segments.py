"""Load one segment into the warehouse: one transaction, one identity that must hold."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.errors import StoreError
from abplatform.logs.facts import to_micros
from abplatform.logs.landing import Segment, check_bytes
from abplatform.logs.load.batch import Batch
from abplatform.logs.load.declared import declare
from abplatform.logs.load.dedupe import Sorted, sort_out
from abplatform.logs.load.reading import Reader
from abplatform.logs.mapping.spec import Declares
from abplatform.logs.store.warehouse import EVENT_TABLES, Warehouse, data_version_of
from abplatform.logs.validate import RAW_BYTES, Door

__all__ = ["Store", "load_segment", "note_again"]

_QUARANTINE: dict[str, type[pl.DataType]] = {
    "segment_number": pl.Int64,
    "line": pl.Int64,
    "source": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "raw": pl.Binary,
    "event_key": pl.String,
    "key_hash": pl.UInt64,
    "content_hash": pl.UInt64,
}


@dataclass(frozen=True, slots=True)
class Store:
    """Where segments are loaded to.

    Args:
        warehouse: The open warehouse.
        segments: Every sealed segment by its number, to read raw bytes back.
        time_zone: Where a workspace day begins.
        rates: Currency to its worth in the workspace's currency.
    """

    warehouse: Warehouse
    segments: Mapping[int, Segment]
    time_zone: ZoneInfo
    rates: Mapping[str, Decimal]


@dataclass(slots=True)
class _Tally:
    """What has been counted while reading, by source."""

    received: Counter[str] = field(default_factory=Counter)
    duplicate: Counter[str] = field(default_factory=Counter)


def load_segment(store: Store, segment: Segment, door: Door) -> Iterator[int]:
    """Load a segment; all of it or nothing.

    Args:
        store: Where to.
        segment: What to load.
        door: What a line must fit.

    Yields:
        The bytes read since the last time; the segment is in once this ends.

    Raises:
        StoreError: The segment's bytes are damaged, or the identity does not hold.
    """
    check_bytes(segment)
    tally = _Tally()
    reader = Reader(segment, store.time_zone, store.rates)
    declares = reader.declares
    with _collector_paused(), store.warehouse.transaction():
        for batch in reader.batches(door):
            if declares is not None:
                _declare(
                    store.warehouse, batch, declares, described=door.variants.keys() - door.declared
                )
            _load_batch(store, batch, segment=segment, tally=tally)
            yield batch.bytes_read
        _close_ledger(store.warehouse, segment, tally)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector from walking batches that hold no cycles, again and again.

    That costs a third of the load; memory stays bounded by the batch.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _load_batch(store: Store, batch: Batch, *, segment: Segment, tally: _Tally) -> None:
    warehouse = store.warehouse
    keys = _keys_of(batch)
    tally.received.update(keys["source"].to_list())
    tally.received[segment.source] += len(batch.rejects)
    found = sort_out(warehouse, keys)
    tally.duplicate.update(keys[found.duplicate]["source"].to_list())
    left_out = keys[pl.concat([found.conflicting, found.duplicate])]
    for table, rows in batch.tables.items():
        if table == "creative_texts":
            with warehouse.stage("texts", rows):
                warehouse.execute("load/add_texts")
            continue
        gone = left_out.filter(pl.col("table").is_in(_OWNERS.get(table, (table,))))
        accepted = rows.join(gone, on="line", how="anti") if len(gone) else rows
        number = pl.lit(segment.number, dtype=pl.Int64)
        warehouse.fill(table, accepted.with_columns(segment_number=number))
    _quarantine_rejects(warehouse, batch, segment)
    if len(found.conflicting):
        _quarantine_conflicts(store, keys, found, segment=segment)


_OWNERS = {"covariates": ("impressions", "decisions")}


def _keys_of(batch: Batch) -> pl.DataFrame:
    """Return a row an event: what tells it apart, its table, line and source."""
    parts = []
    for table, rows in batch.tables.items():
        if table not in EVENT_TABLES:
            continue
        events = rows.filter(pl.col("ordinal") == 0) if "ordinal" in rows.columns else rows
        key = "event_key" if "event_key" in rows.columns else "event_id"
        chosen = events.select(
            "line", "source", "key_hash", "content_hash", event_key=key, table=pl.lit(table)
        )
        parts.append(chosen)
    return pl.concat([_NO_KEYS, *parts]).with_row_index("row")


_NO_KEYS = pl.DataFrame(
    schema={
        "line": pl.Int64,
        "source": pl.String,
        "key_hash": pl.UInt64,
        "content_hash": pl.UInt64,
        "event_key": pl.String,
        "table": pl.String,
    }
)


def _declare(
    warehouse: Warehouse, batch: Batch, declares: Declares, *, described: AbstractSet[str]
) -> None:
    """Note the experiments and variants that a mapped log declares, in order of appearance."""
    parts = [
        rows.select("line", "experiment", "variant")
        for table, rows in batch.tables.items()
        if table in {"impressions", "decisions", "aggregates"}
    ]
    if not parts:
        return
    frame = (
        pl.concat(parts)
        .filter(~pl.col("experiment").is_in(list(described)))
        .sort("line")
        .unique(["experiment", "variant"], keep="first", maintain_order=True)
        .select("experiment", "variant")
        .with_row_index("appeared")
    )
    declare(warehouse, frame, control=declares.control, unit=declares.unit)


def _quarantine_rejects(warehouse: Warehouse, batch: Batch, segment: Segment) -> None:
    rows = batch.rejects.with_columns(
        segment_number=pl.lit(segment.number, dtype=pl.Int64), source=pl.lit(segment.source)
    )
    warehouse.fill("quarantine", rows)


def _quarantine_conflicts(
    store: Store, keys: pl.DataFrame, found: Sorted, *, segment: Segment
) -> None:
    """Put the batch's contradicting versions aside, and those that counted until now."""
    rows = keys[found.conflicting]
    new = _with_raw_bytes(
        store, rows.with_columns(segment_number=pl.lit(segment.number, dtype=pl.Int64))
    )
    old = found.withdrawn
    if old is None or old.is_empty():
        versions = new
    else:
        warehouse = store.warehouse
        with warehouse.stage("withdrawn", old):
            for table in EVENT_TABLES:
                warehouse.execute("load/withdraw", table=table, segment_number=segment.number)
        versions = pl.concat([new.select(_VERSION), _with_raw_bytes(store, old).select(_VERSION)])
    aside = versions.with_columns(
        reason=pl.lit("conflicting_id"),
        detail=pl.format("the id {} came with different content", pl.col("event_key")),
    )
    store.warehouse.fill("quarantine", aside.select(list(_QUARANTINE)))


_VERSION = [name for name in _QUARANTINE if name not in {"reason", "detail"}]


def _with_raw_bytes(store: Store, rows: pl.DataFrame) -> pl.DataFrame:
    """Read the raw bytes of accepted events back from their segments."""
    raws: dict[tuple[int, int], bytes] = {}
    for (number,), part in rows.group_by("segment_number"):
        wanted = set(part["line"].to_list())
        for line, raw in Reader(store.segments[int(str(number))], store.time_zone).raw_lines(
            wanted
        ):
            raws[int(str(number)), line] = raw[:RAW_BYTES]
    places = rows.select("segment_number", "line").iter_rows()
    column = pl.Series("raw", [raws.get(place, b"") for place in places], dtype=pl.Binary)
    return rows.with_columns(column)


def _close_ledger(warehouse: Warehouse, segment: Segment, tally: _Tally) -> None:
    number = segment.number
    for source in sorted(tally.received):
        warehouse.execute(
            "load/add_ledger_row",
            segment_number=number,
            source=source,
            received=tally.received[source],
            duplicate=tally.duplicate[source],
        )
    _add_segment(warehouse, segment)
    warehouse.execute("load/settle_ledger")
    broken = warehouse.query("load/broken_identities")
    if len(broken):
        raise StoreError(
            f"the counts do not add up: {broken.to_dicts()[0]}",
            path=segment.path,
            remedy="nothing was stored of this segment; please report this with the segment",
        )


def note_again(warehouse: Warehouse, segment: Segment, first: int) -> None:
    """Count a segment as another delivery of an earlier one with the same bytes.

    Args:
        warehouse: The open warehouse.
        segment: The later one.
        first: The earlier one's number.
    """
    with warehouse.transaction():
        warehouse.execute("load/add_redelivery", segment_number=first)
        _add_segment(warehouse, segment)


def _add_segment(warehouse: Warehouse, segment: Segment) -> None:
    identities = {*warehouse.query("load/segments")["identity"].to_list(), segment.identity}
    warehouse.execute(
        "load/add_segment",
        segment_number=segment.number,
        source=segment.source,
        path=segment.path.name,
        identity=segment.identity,
        landed_micros=to_micros(segment.landed_at),
        data_version=data_version_of(identities),
    )
