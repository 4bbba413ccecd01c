"""What a mapping makes of rows, a column at a time; equal to :class:`Mapped` row by row.

Where a cell means something that only reading one row at a time can tell, its row gets no
``schema`` here, so that it is left to that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import polars as pl

from abplatform.domain.events import EventRejected
from abplatform.logs.mapping.moments import read_day, read_moment
from abplatform.logs.mapping.rows import Mapped

__all__ = ["LINE", "ROW", "is_columnar", "mapped_cells"]

LINE: Final = "#line"
"""The column of rows' lines beside the columns of the file."""

ROW: Final = "#row"
"""The column of rows' numbers within their stretch, from 0."""

_LAST_MS: Final = 4 * 10**12
_Cells = list[tuple[str, pl.DataFrame]]


def is_columnar(mapped: Mapped) -> bool:
    """Whether a mapping reads a column at a time: no state, amounts, ads or days out of moments."""
    mapping = mapped.mapping
    if mapping.amounts or mapping.ad_source is not None:
        return False
    is_dated = "day" in mapping.columns or "day" in mapping.constants
    return "variant" not in mapping.row_numbers and (mapping.event != "aggregate" or is_dated)


def mapped_cells(mapped: Mapped, rows: pl.DataFrame, before: int) -> _Cells:
    """Return the event types that rows stand for and the cells of their wire fields.

    Args:
        mapped: The mapping.
        rows: Columns of the file, besides LINE and ROW.
        before: How many rows of the file come before these.
    """
    mapping = mapped.mapping
    if not set(mapping.all_columns) <= set(rows.columns):
        return []
    cells = {name: _constant(value, len(rows)) for name, value in mapping.constants.items()}
    for name, column in mapping.columns.items():
        told, constant = rows[column], cells.get(name)
        cells[name] = told if constant is None else _either(told, constant)
    stem = mapped.file_sha256[:12]
    numbers = (rows[ROW].cast(pl.Int64) + before + 1).cast(pl.String)
    for name, word in mapping.row_numbers.items():
        cells[name] = f"{stem}-{word}-" + numbers
    ids = f"{stem}-{mapping.event}-" + numbers
    cells["event_id"] = _either(cells["event_id"], ids) if "event_id" in cells else ids
    cells["ts"] = _moments(mapped, rows, cells)
    good = _add_text(mapped, rows, cells)
    flags = None if mapping.clicked is None else _flags(rows[mapping.clicked])
    if flags is not None:
        good = good & flags.is_not_null()
    one = _constant("1", len(rows))
    cells["schema"] = pl.select(pl.when(good).then(one)).to_series()
    places = [rows[LINE], rows[ROW]]
    frame = pl.DataFrame([*places, *(cell.alias(name) for name, cell in cells.items())])
    if flags is None or not flags.any():
        return [(mapping.event, frame)]
    shown = frame.filter(flags.fill_null(value=False))
    clicks = shown.select(
        LINE,
        ROW,
        "schema",
        "ts",
        event_id=pl.col("event_id") + "-click",
        impression_id=pl.col("event_id"),
    )
    return [(mapping.event, frame), ("click", clicks)]


def _constant(value: str, count: int) -> pl.Series:
    return pl.repeat(value, count, dtype=pl.String, eager=True)


def _either(told: pl.Series, otherwise: pl.Series) -> pl.Series:
    """Return cells, and where there is none the other; those of other types are left unread."""
    if not told.null_count():
        return told
    if told.dtype.is_integer():
        told = told.cast(pl.String)
    if told.dtype != pl.String:
        return told
    return pl.select(pl.coalesce(told, otherwise)).to_series()


def _moments(mapped: Mapped, rows: pl.DataFrame, cells: dict[str, pl.Series]) -> pl.Series:
    """Return the rows' moments as text or typed, null where they are left to the row path."""
    mapping, zone = mapped.mapping, mapped.time_zone
    if mapping.time_column is None:

        def midnight(cell: Any) -> str:
            day = read_day(cell)
            return datetime(day.year, day.month, day.day, tzinfo=zone).isoformat()

        return _each(cells["day"], midnight)
    told, pattern = rows[mapping.time_column], mapping.time_format
    is_zoned = pattern is None and mapping.time_zone is None
    if isinstance(told.dtype, pl.Datetime) or (is_zoned and told.dtype == pl.String):
        return told
    if pattern == "epoch_ms" and (told.dtype == pl.String or told.dtype.is_integer()):
        values = told.cast(pl.Int64, strict=False)
        plain = values.is_between(0, _LAST_MS) & (values.cast(pl.String) == told.cast(pl.String))
        micros = pl.select(pl.when(plain).then(values * 1000)).to_series()
        return micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return _each(told, lambda cell: read_moment(cell, pattern, zone, mapping.time_zone))


def _each(cells: pl.Series, read: Callable[[Any], str]) -> pl.Series:
    """Read every distinct cell once as the row path does; null where it refuses."""
    if cells.dtype not in {pl.String, pl.Date} and not cells.dtype.is_integer():
        return pl.repeat(None, len(cells), dtype=pl.String, eager=True)
    found: dict[Any, str | None] = {}
    for cell in cells.unique().drop_nulls().to_list():
        try:
            found[cell] = read(cell)
        except EventRejected:
            found[cell] = None
    if not found:
        return pl.repeat(None, len(cells), dtype=pl.String, eager=True)
    return cells.replace_strict(found, default=None, return_dtype=pl.String)


def _add_text(mapped: Mapped, rows: pl.DataFrame, cells: dict[str, pl.Series]) -> pl.Series:
    """Add the creative's text, and its id where nothing gives one; tell where that is plain."""
    columns = mapped.mapping.text
    plain = pl.repeat(value=True, n=len(rows), eager=True)
    if not columns:
        return plain
    parts = [rows[name] for name in columns]
    if any(part.dtype != pl.String and not part.dtype.is_integer() for part in parts):
        return ~plain
    texts = rows.select(
        text=pl.concat_str(
            [pl.col(name).cast(pl.String) for name in columns], separator="\n", ignore_nulls=True
        ).fill_null("")
    )["text"]
    cells["creative_text"] = texts

    def name_of(text: str) -> str:
        return f"text-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    told = cells.get("creative_id")
    if told is None or told.null_count():
        names = _each(texts, name_of)
        cells["creative_id"] = names if told is None else _either(told, names)
    return plain


def _flags(cells: pl.Series) -> pl.Series:
    """Return whether cells say 1 or 0, null where they say neither plainly."""
    if cells.dtype == pl.Boolean:
        return cells
    if cells.dtype.is_float() or cells.dtype.is_integer():
        yes = cells == 1
        known = yes | (cells == 0)
    elif cells.dtype == pl.String:
        known, yes = cells.is_in(["1", "true", "0", "false"]), cells.is_in(["1", "true"])
    else:
        return pl.repeat(None, len(cells), dtype=pl.Boolean, eager=True)
    return pl.select(pl.when(known).then(yes)).to_series()
