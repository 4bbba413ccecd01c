"""Batches of one or more segments, gathered until they are worth inserting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from abplatform.logs.landing import Segment
from abplatform.logs.load.batch import Batch
from abplatform.logs.load.versions import first_rows
from abplatform.logs.store.tables import EVENT_TABLES

__all__ = ["Chunk"]

_COVARIATES: Final = {
    "segment_number": pl.Int64,
    "line": pl.Int64,
    "name": pl.String,
    "value_micros": pl.Int64,
}
_TEXTS: Final = {"creative_id": pl.String, "text": pl.String}
_REJECTS: Final = {
    "segment_number": pl.Int64,
    "line": pl.Int64,
    "source": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "raw": pl.Binary,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a chunk held.

    Args:
        tables: Rows by event table.
        covariates: Numbers among the events' attributes.
        texts: Texts of creatives.
        rejects: Lines that are no events.
    """

    tables: dict[str, pl.DataFrame]
    covariates: pl.DataFrame
    texts: pl.DataFrame
    rejects: pl.DataFrame


class Chunk:
    """Rows that wait to be inserted, by table."""

    def __init__(self) -> None:
        self._parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._rows = 0

    def __len__(self) -> int:
        """How many rows of event tables and rejects wait."""
        return self._rows

    def add(self, batch: Batch, segment: Segment) -> Iterator[tuple[str, int]]:
        """Add a batch of a segment.

        Yields:
            Sources, and how many events or rejects count for each.
        """
        number = pl.lit(segment.number, dtype=pl.Int64).alias("segment_number")
        for table, rows in batch.tables.items():
            if table == "creative_texts":
                self._parts[table].append(rows)
                continue
            self._parts[table].append(rows.with_columns(number))
            if table in EVENT_TABLES:
                self._rows += len(rows)
                yield from _events_by_source(rows)
        if len(batch.rejects):
            source = pl.lit(segment.source).alias("source")
            self._parts["rejects"].append(batch.rejects.with_columns(number, source))
            self._rows += len(batch.rejects)
            yield segment.source, len(batch.rejects)

    def take(self) -> Taken:
        """Return what waits and forget it."""
        parts, self._parts, self._rows = self._parts, defaultdict(list), 0
        return Taken(
            tables={table: pl.concat(parts.pop(table)) for table in EVENT_TABLES if table in parts},
            covariates=_joined(parts["covariates"], _COVARIATES),
            texts=_joined(parts["creative_texts"], _TEXTS),
            rejects=_joined(parts["rejects"], _REJECTS),
        )


def _events_by_source(rows: pl.DataFrame) -> Iterator[tuple[str, int]]:
    # Grouping a whole frame would join the pieces of every column first.
    yield from first_rows(rows, ["source"]).group_by("source").len().iter_rows()


def _joined(parts: list[pl.DataFrame], schema: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    empty = pl.DataFrame(schema=dict(schema))
    return pl.concat([empty, *(part.select(empty.columns) for part in parts)])
