"""A Parquet file's rows in parts of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # likewise

from abplatform.domain.events import EventRejected
from abplatform.logs.tape import MOST_EXPANDED

__all__ = ["Part", "parquet_parts"]

# Parts come and go; pyarrow's own allocator keeps their room and clears it anew for each.
pa.set_memory_pool(pa.system_memory_pool())

_ROWS: Final = 64 << 10
_BYTES: Final = 64 << 20
_ALWAYS_ALLOWED_ROWS: Final = 10_000_000
_ALWAYS_ALLOWED_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a file.

    Args:
        rows: All their columns.
        offset: How many rows come before.
        share: Of the file's rows that have been read with these, up to 1.
        problem: Why a row, or the file from here on, cannot be read; or None.
    """

    rows: pl.DataFrame
    offset: int
    share: float
    problem: EventRejected | None = None


def parquet_parts(path: Path) -> Iterator[Part]:
    """Yield a file's rows in order; where it cannot be read further, a last part says why.

    pyarrow reads the pages and checks every text: on damaged ones it raises, where polars may end
    the process.
    """
    offset = 0
    try:
        # pyarrow's buffers for reading ahead are kept until the file is closed.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            about = file.metadata
            problem = _bomb(about, path.stat().st_size)
            if problem is not None:
                yield Part(pl.DataFrame(), 0, 1.0, problem)
                return
            for batch in file.iter_batches(batch_size=_rows_a_part(about), use_threads=False):
                yield from _sound(batch, offset, int(about.num_rows))
                offset += len(batch)
    except (OSError, pa.ArrowException) as error:
        detail = f"the file cannot be read further: {error}"
        yield Part(pl.DataFrame(), offset, 1.0, EventRejected("truncated", detail))


def _sound(batch: pa.RecordBatch, offset: int, total: int) -> Iterator[Part]:
    """Yield the rows whose texts are UTF-8, and each of the others by itself as a problem."""
    share = (offset + len(batch)) / max(total, 1)
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        if len(batch) == 1:
            problem = EventRejected("not_utf8", f"the row is not UTF-8: {error}")
            yield Part(pl.DataFrame(), offset, share, problem)
            return
        half = len(batch) // 2
        yield from _sound(batch.slice(0, half), offset, total)
        yield from _sound(batch.slice(half), offset + half, total)
    else:
        yield Part(cast("pl.DataFrame", pl.from_arrow(batch)), offset, share)


def _bytes_of(about: pq.FileMetaData) -> int:
    sizes = (about.row_group(number).total_byte_size for number in range(about.num_row_groups))
    return int(sum(sizes))


def _rows_a_part(about: pq.FileMetaData) -> int:
    width = max(1, _bytes_of(about) // max(1, int(about.num_rows)))
    return max(1, min(_ROWS, _BYTES // width))


def _bomb(about: pq.FileMetaData, size: int) -> EventRejected | None:
    """Refuse a small file that says of itself that it is huge."""
    is_wide = _bytes_of(about) > max(_ALWAYS_ALLOWED_BYTES, MOST_EXPANDED * size)
    if is_wide or about.num_rows > max(_ALWAYS_ALLOWED_ROWS, MOST_EXPANDED * size):
        return EventRejected(
            "bomb", f"the file expands to more than {MOST_EXPANDED} times its size"
        )
    return None
