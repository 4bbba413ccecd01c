"""CSV and Parquet files → columns; rows that are not obviously good are judged one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from abplatform.logs.load.csv_blocks import csv_blocks
from abplatform.logs.load.one_by_one import judge_row
from abplatform.logs.load.sifting import Harvest, sift, sort_by_kind
from abplatform.logs.mapping import Mapped, MappedRow, RowMapper, Wire, map_row
from abplatform.logs.mapping.columns import LINE, ROW, is_columnar, mapped_cells
from abplatform.logs.mapping.files import rows_of_frame
from abplatform.logs.mapping.parquet import parquet_parts
from abplatform.logs.mapping.records import read_header
from abplatform.logs.tape import Tape
from abplatform.logs.validate import Door, Events

__all__ = ["read_csv", "read_parquet"]

_Cells = list[tuple[str, pl.DataFrame]]


def read_csv(path: Path, mapper: RowMapper, door: Door, harvest: Harvest) -> Iterator[int]:
    """Read a CSV file into the harvest.

    Args:
        path: The file, perhaps compressed.
        mapper: What its columns mean.
        door: What events must fit.
        harvest: Gets events and rejects.

    Yields:
        How many bytes of the file have been read, after every block.
    """
    cells_of = _cells_of(mapper)
    before = 0
    with Tape(path) as tape:
        header = read_header(tape)
        for block in csv_blocks(tape, header):
            found = Events()
            others = np.arange(len(block))
            if block.cells is not None and cells_of is not None:
                numbered = block.cells.with_row_index(ROW)
                sifted = sift(cells_of(numbered, before), len(block), door)
                harvest.add_columns(sifted.events)
                others = sifted.others
            for row in others.tolist():
                judge_row(map_row(block.record(row), before + row + 1, mapper), door, found)
            harvest.add_events(found)
            before += len(block)
            yield tape.bytes_read


def read_parquet(path: Path, mapper: RowMapper, door: Door, harvest: Harvest) -> Iterator[int]:
    """Read a Parquet file into the harvest; arguments and yields as for :func:`read_csv`."""
    cells_of = _cells_of(mapper)
    size = path.stat().st_size
    for part in parquet_parts(path):
        found = Events()
        if part.problem is not None:
            judge_row(MappedRow(part.offset + 1, b"", problem=part.problem), door, found)
            harvest.add_events(found)
            continue
        others = np.arange(len(part.rows))
        if cells_of is not None and not {LINE, ROW} & set(part.rows.columns):
            # pandas writes missing numbers as NaN.
            told = part.rows.with_columns(pl.selectors.float().fill_nan(None))
            numbered = told.with_row_index(ROW)
            line = (pl.col(ROW).cast(pl.Int64) + part.offset + 1).alias(LINE)
            cells = cells_of(numbered.with_columns(line), part.offset)
            sifted = sift(cells, len(part.rows), door)
            harvest.add_columns(sifted.events)
            others = sifted.others
        numbers = (others + part.offset + 1).tolist()
        for record in rows_of_frame(part.rows[others], numbers):
            judge_row(map_row(record, record[0], mapper), door, found)
        harvest.add_events(found)
        yield int(size * part.share)


def _cells_of(mapper: RowMapper) -> Callable[[pl.DataFrame, int], _Cells] | None:
    """Return what makes events' cells of a stretch of rows, or None where only the mapper can.

    It is called with the rows (columns of the file, besides LINE and ROW) and how many rows
    of the file come before them.
    """
    if isinstance(mapper, Wire):
        return lambda rows, _: sort_by_kind(rows)
    if isinstance(mapper, Mapped) and is_columnar(mapper):
        return lambda rows, before: mapped_cells(mapper, rows, before)
    return None
