"""What the store knew at an earlier data version, or what had happened by an earlier moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import polars as pl

from abplatform.errors import StoreError
from abplatform.logs.attribution.late import LATE_TABLES, REPLACED, Stretch, waiting
from abplatform.logs.attribution.steps import attribute_anew
from abplatform.logs.facts import FOREVER_MICROS, to_micros
from abplatform.logs.store.answering import Store, data_version

__all__ = ["aggregates_known_at", "exposures_known_at", "segment_of"]


@contextmanager
def exposures_known_at(
    warehouse: Store, version: str, *, until: datetime | None = None
) -> Iterator[None]:
    """Let queries see the exposures as they were at an earlier data version, moment, or both.

    Within the context the view ``exposures`` is a temporary one over the same events; the
    watermarks are those of that version's last segments, or the present ones when it is the
    present version.

    Args:
        warehouse: The open warehouse.
        version: The 12 hex digits that an ingest or a scorecard printed.
        until: Only events up to this moment (event time) have happened; None for all. Flags, too,
            are as those events tell them.

    Raises:
        StoreError: The store never had that version.
    """
    last, corrections = _place_of(warehouse, version)
    until_micros = FOREVER_MICROS if until is None else to_micros(until)
    try:
        is_past = version != data_version(warehouse)
        # What was replaced while it waited counts at no version; at the present one it says so.
        if is_past and _has_other_late_events(warehouse, corrections):
            warehouse.show_events_then(tuple(LATE_TABLES), entered=corrections)
        attribute_anew(warehouse, known_until=last, until_micros=until_micros)
        warehouse.drop_steps()
        if is_past:
            warehouse.materialise("sources", "load/watermarks_then", known_until=last)
        warehouse.show_then(known_until=last, until_micros=until_micros)
        yield
    finally:
        warehouse.drop_steps()
        warehouse.show_now()


def aggregates_known_at(warehouse: Store, version: str) -> pl.DataFrame:
    """Return ``aggregates_current`` as it was at an earlier data version.

    Raises:
        StoreError: The store never had that version.
    """
    return warehouse.query("load/aggregates_then", known_until=segment_of(warehouse, version))


def segment_of(warehouse: Store, version: str) -> int:
    """Return the number of the last segment of a data version.

    Raises:
        StoreError: The store never had that version.
    """
    return _place_of(warehouse, version)[0]


def _has_other_late_events(warehouse: Store, corrections: int) -> bool:
    """Whether other late events count now than did after some of the corrections."""
    return corrections < len(warehouse.query("load/corrections")) or bool(
        len(waiting(warehouse, Stretch(), entered=REPLACED))
    )


def _place_of(warehouse: Store, version: str) -> tuple[int, int]:
    """Return a version's last segment, and how many corrections had been applied."""
    loaded, applied = warehouse.query("load/segments"), warehouse.query("load/corrections")
    if version == data_version(warehouse):
        return max(loaded["segment_number"].to_list(), default=0), len(applied)
    then = applied.filter(pl.col("data_version") == version)
    if len(then):
        return int(then["after_segment"][-1]), int(then["number"][-1])
    then = loaded.filter(pl.col("data_version") == version)
    if then.is_empty():
        raise StoreError(
            f"the store never had the data version {version!r}",
            remedy="take one that `abp ingest --json` or `abp analyze --json` printed",
        )
    last = int(then["segment_number"].to_list()[-1])
    return last, len(applied.filter(pl.col("after_segment") < last))
