"""Events that came when the rows they belong to were final: kept, counted, and let in on request.

A row is final once its source's watermark has passed its time, its attribution window and
``late_data``; a verdict may rest on it. What comes for it afterwards waits in ``late_events`` until
a backfill lets it in. An event is late when all of this held before the ingest that brought it:

* its source had been read before, and not only after the time of the event: logs from before a
  source's first watermark are history, in whatever order and pieces they are imported;
* its source had told of that time: what follows a silence of any length is not late;
* the row it belongs to (its own, or that of the impression it names; of an impression that was not
  known, its own time tells) was final in all of its experiments, for conversions with
  ``conversion_window`` and ``refund_window``.

Watermarks of the past, and how far a source had told, are read from what ingests remember beside
the landing, so a store that is made anew finds the same events late, whatever was forgotten since.
Reports (aggregates) and behaviour are never late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import polars as pl

from abplatform.domain.experiment import EventWindows
from abplatform.logs.facts import FOREVER_MICROS, micros, to_micros
from abplatform.logs.store.answering import Store, data_version_of
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["LATE_TABLES", "REPLACED", "Stretch", "settle_late", "waiting"]

LATE_TABLES: Final[Mapping[str, str]] = {
    "impressions": "late/late_exposures",
    "decisions": "late/late_exposures",
    "clicks": "late/late_followers",
    "costs": "late/late_costs",
    "feedback": "late/late_followers",
    "conversions": "late/late_conversions",
}
"""Event tables, and what finds the late ones in each."""

REPLACED: Final = -1
"""What ``entered`` says of late events that were replaced or contradicted while they waited."""

_DELIVERY: Final = {
    "segment_number": pl.Int64,
    "source": pl.String,
    "birth_micros": pl.Int64,
    "watermark_micros": pl.Int64,
    "before_segment": pl.Int64,
    "known_until": pl.Int64,
    "newest_micros": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which late events a backfill lets in.

    Args:
        source: Of this source; empty for all.
        from_micros: From this moment on (event time).
        to_micros: Before this moment.
    """

    source: str = ""
    from_micros: int = -FOREVER_MICROS
    to_micros: int = FOREVER_MICROS


def settle_late(
    warehouse: Warehouse,
    ingests: Sequence[Mapping[str, Any]],
    *,
    on_purpose: Collection[int] = (),
) -> None:
    """Set late events of new segments aside, and let in those of backfills that were not applied.

    Args:
        warehouse: The open warehouse, after loading and before the refresh.
        ingests: What ingests remember, in order: ``watermark``, ``sources``, ``last`` (the last
            segment then), ``newest`` (source to the latest moment that segments since the row
            before told of; absent from rows of earlier versions of the platform), and ``backfill``
            where late events were let in.
        on_purpose: Segments whose events are never late.
    """
    known = dict(warehouse.query("load/meta").iter_rows())
    segments = warehouse.query("load/segments")["segment_number"].to_list()
    last = max(segments, default=0)
    with warehouse.transaction():
        deliveries = _deliveries(warehouse, ingests, after=int(known.get("late_until", 0)))
        deliveries = deliveries.filter(~pl.col("segment_number").is_in(list(on_purpose)))
        if len(deliveries):
            with warehouse.stage("deliveries", deliveries):
                for table, query in LATE_TABLES.items():
                    _set_aside(warehouse, table, query)
        _apply_backfills(warehouse, [row for row in ingests if "backfill" in row])
        _forget_replaced(warehouse, until=last)
        warehouse.execute("load/set_meta", name="late_until", value=str(last))


def waiting(warehouse: Store, stretch: Stretch, *, entered: int = 0) -> pl.DataFrame:
    """Return how many late events wait, or entered by a backfill: event_table, source, events."""
    return warehouse.query(
        "late/waiting",
        entered=entered,
        source=stretch.source,
        from_micros=stretch.from_micros,
        to_micros=stretch.to_micros,
    )


def _deliveries(
    warehouse: Warehouse, ingests: Sequence[Mapping[str, Any]], *, after: int
) -> pl.DataFrame:
    """Return each new segment's sources with the watermarks before it came.

    One walk along segments and ingests: there may be thousands of both.
    """
    marks = deque(sorted((row for row in ingests if "last" in row), key=itemgetter("last")))
    births: dict[str, int] = {}
    watermarks: dict[str, int] = {}
    newest: dict[str, int] = {}
    before, rows = 0, []
    ledger = warehouse.query("load/ledger").filter(pl.col("segment_number") > after)
    for number, source in ledger.select("segment_number", "source").iter_rows():
        while marks and marks[0]["last"] < number:
            row = marks.popleft()
            before, mark = int(row["last"]), to_micros(datetime.fromisoformat(row["watermark"]))
            for name in row["sources"]:
                births[name] = min(mark, births.get(name, mark))
                watermarks[name] = max(mark, watermarks.get(name, mark))
            for name, moment in row.get("newest", {}).items():
                newest[name] = max(moment, newest.get(name, moment))
        if source in births:
            until = int(marks[0]["last"]) if marks else number
            told = births[source], watermarks[source], before, until, newest.get(source)
            rows.append((number, source, *told))
    return pl.DataFrame(rows, schema=_DELIVERY, orient="row")


def _set_aside(warehouse: Warehouse, table: str, query: str) -> None:
    least, window = _windows(warehouse, with_value=table == "conversions")
    candidates = warehouse.query("late/candidates", table=table, least_micros=least)
    if candidates.is_empty():
        return
    newest = warehouse.query("late/newest")
    candidates = candidates.join(newest, on=["segment_number", "source"]).filter(
        pl.col("ts_micros") <= pl.col("newest_micros")
    )
    with warehouse.stage("candidates", candidates):
        late = warehouse.query(query, table=table, window_micros=window)
    if len(late):
        with warehouse.stage("late", late):
            warehouse.execute("late/set_aside", table=table)
        warehouse.fill(
            "late_events",
            late.with_columns(event_table=pl.lit(table), entered=pl.lit(None, dtype=pl.Int64)),
        )


def _windows(warehouse: Warehouse, *, with_value: bool) -> tuple[int, int]:
    """Return how long after an event, at the least and at the most, its row is final, in µs.

    An event comes at most its own window after the row it belongs to, which the least makes up for.
    """
    usual = EventWindows()
    told = warehouse.query("load/experiments")
    rows = [
        *told.select(
            "attribution_micros", "late_micros", "conversion_micros", "refund_micros"
        ).iter_rows(),
        (
            micros(usual.attribution_window),
            micros(usual.late_data),
            micros(usual.conversion_window),
            micros(usual.refund_window),
        ),
    ]
    extra = [row[2] + row[3] if with_value else 0 for row in rows]
    final = [row[0] + row[1] + more for row, more in zip(rows, extra, strict=True)]
    reach = max(row[0] + more for row, more in zip(rows, extra, strict=True))
    return min(final) - reach, max(final)


def _apply_backfills(warehouse: Warehouse, rows: Sequence[Mapping[str, Any]]) -> None:
    applied = len(warehouse.query("load/corrections"))
    for number, row in enumerate(rows[applied:], start=applied + 1):
        stretch, last = Stretch(**row["backfill"]), int(row["last"])
        # A store that is made anew holds already what replaced some of them later.
        _forget_replaced(warehouse, until=last)
        warehouse.execute(
            "late/enter",
            number=number,
            last=last,
            source=stretch.source,
            from_micros=stretch.from_micros,
            to_micros=stretch.to_micros,
        )
        for table in LATE_TABLES:
            warehouse.execute("late/let_in", table=table, number=number)
        _note_correction(warehouse, number, stretch, last)


def _forget_replaced(warehouse: Warehouse, *, until: int) -> None:
    """Let nothing wait any longer that segments up to a number replaced or contradicted."""
    if len(waiting(warehouse, Stretch())):
        for table in LATE_TABLES:
            warehouse.execute("late/forget_replaced", table=table, until=until)


def _note_correction(warehouse: Warehouse, number: int, stretch: Stretch, last: int) -> None:
    """Write a backfill down, and the versions that the store had from then on."""
    earlier = warehouse.query("load/corrections")
    told = (stretch.source or "*", str(stretch.from_micros), str(stretch.to_micros), str(number))
    identity = ":".join(("backfill", *told))
    corrections = [*zip(earlier["identity"], earlier["after_segment"], strict=True)]
    corrections.append((identity, last))
    segments = warehouse.query("load/segments")

    def version(until: int) -> str:
        there = segments.filter(pl.col("segment_number") <= until)["identity"].to_list()
        there += [one for one, after in corrections if after < until or one == identity]
        return data_version_of(sorted(set(there)))

    later = segments.filter(pl.col("segment_number") > last)["segment_number"].to_list()
    names = {"segment_number": pl.Int64, "data_version": pl.String}
    versions = pl.DataFrame([(one, version(one)) for one in later], schema=names, orient="row")
    with warehouse.stage("versions", versions):
        warehouse.execute("late/renew_versions")
    at = [one for one, after in corrections if after <= last]
    there = segments.filter(pl.col("segment_number") <= last)["identity"].to_list()
    row = {
        "number": [number],
        "kind": ["backfill"],
        "identity": [identity],
        "after_segment": [last],
        "data_version": [data_version_of(sorted({*there, *at}))],
    }
    warehouse.fill("corrections", pl.DataFrame(row))
