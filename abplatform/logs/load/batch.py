"""What comes out of a stretch of a segment: columns to insert, and rejects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from abplatform.logs.validate import Reject

__all__ = ["REJECTS", "Batch", "frame_of_rejects"]

REJECTS: Final[Mapping[str, type[pl.DataType]]] = {
    "line": pl.Int64,
    "raw": pl.Binary,
    "reason": pl.String,
    "detail": pl.String,
}
"""Columns of :attr:`Batch.rejects`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came out of a stretch of one segment, at most about 250,000 events.

    Args:
        tables: Event table to its rows: the table's own columns without ``segment_number`` and
            ``withdrawn_by``; among them ``line``, ``source``, ``event_id`` and ``key_hash``, and
            ``event_key`` in ``aggregates``. An event in several experiments is as many rows, told
            apart by ``ordinal``. Besides, where there are any, ``covariates`` (``line``, ``name``,
            ``value_micros``) and ``creative_texts`` (``creative_id``, ``text``). No table is empty.
        rejects: The lines that are no events: the columns of :data:`REJECTS`, ``raw`` capped.
        bytes_read: Of the segment's file as it lies on the disk, for a progress bar.
    """

    tables: Mapping[str, pl.DataFrame]
    rejects: pl.DataFrame
    bytes_read: int


def frame_of_rejects(rejects: Iterable[Reject]) -> pl.DataFrame:
    """Return rejects as the frame that a batch holds."""
    rows = [(bad.line, bad.raw, bad.reason, bad.detail) for bad in rejects]
    return pl.DataFrame(rows, schema=dict(REJECTS), orient="row")
