"""CSV, Parquet and JSON-lines files → rows, one after the other, each with its line and its bytes.

CSV is read record by record, so that a quarantined one keeps its bytes and its line.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Names
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from abplatform.domain.events import EventRejected
from abplatform.errors import IngestError, MappingError
from abplatform.logs.landing import form_of
from abplatform.logs.mapping.parquet import parquet_parts
from abplatform.logs.mapping.records import next_record, read_header
from abplatform.logs.mapping.rows import MappedRow, RawRow, RowMapper, map_row
from abplatform.logs.mapping.spec import Mapping
from abplatform.logs.tape import Tape
from abplatform.yaml_text import nearest

__all__ = ["check_columns", "read_rows", "rows_of_frame", "sample_rows"]

_UTF16_MARKS: Final = tuple(
    mark.decode(errors="surrogateescape") for mark in (BOM_UTF16_LE, BOM_UTF16_BE)
)


def check_columns(path: Path, mapping: Mapping | None, *, is_foreign: bool = False) -> None:
    """Refuse a file that lacks columns before it lands.

    Args:
        path: The file.
        mapping: What will read it; None: its columns must be wire fields.
        is_foreign: Whether any columns will do, since there is no mapping yet.

    Raises:
        MappingError: A column that the mapping names is missing; the nearest one is offered.
        IngestError: The file is unreadable or empty, or has no ``event_type`` and no mapping.
    """
    columns = _columns_of(path)
    if columns is None or is_foreign:
        return
    read = mapping.all_columns if mapping is not None else columns
    twice = [column for column in read if column and columns.count(column) > 1]
    if twice:
        raise IngestError(
            f"two columns are called {twice[0]!r}, and which one is meant nobody can know",
            path=path,
            line=1,
            remedy="give each column that is read its own name",
        )
    if mapping is None:
        if "event_type" not in columns:
            raise IngestError(
                "there is no column 'event_type', so these are no wire events",
                path=path,
                line=1,
                remedy=f"write a mapping: abp ingest --draft {path.name} > mapping.yaml",
            )
        return
    for column in mapping.all_columns:
        if column not in columns:
            line, place = mapping.places.get(column, (None, None))
            near = nearest(column, columns)
            hint = f"did you mean {near!r}? It has" if near else "it has"
            raise MappingError(
                f"{path.name}, line 1: there is no column {column!r}",
                path=mapping.path,
                line=line,
                column=place,
                remedy=f"{hint} {', '.join(columns[:12])}{' …' if len(columns) > 12 else ''}",
            )


def sample_rows(path: Path, count: int = 1) -> list[Names[str, Any]]:
    """Return a file's first readable rows, at least one.

    Raises:
        IngestError: There is none.
    """
    check_columns(path, None, is_foreign=True)
    rows, problem = [], None
    for _, _, row in _rows_of(path):
        if isinstance(row, EventRejected):
            problem = problem or row
        else:
            rows.append(row)
        if len(rows) == count:
            return rows
    if not rows:
        message = f"no row can be read: {problem}" if problem else "there is no row in it"
        raise IngestError(message, path=path, remedy="bring a file with rows that can be read")
    return rows


def read_rows(path: Path, mapper: RowMapper) -> Iterator[MappedRow]:
    """Read a file row by row.

    Args:
        path: A CSV (.gz too), Parquet or JSON-lines file.
        mapper: What makes events of a row.
    """
    for number, record in enumerate(_rows_of(path), start=1):
        yield map_row(record, number, mapper)


def rows_of_frame(rows: pl.DataFrame, numbers: Iterable[int]) -> Iterator[RawRow]:
    """Yield a frame's rows with their numbers and as JSON, since they have no bytes of their own.

    Args:
        rows: Of a Parquet file.
        numbers: The number of each, from 1.
    """
    for number, row in zip(numbers, rows.iter_rows(named=True), strict=True):
        yield number, json.dumps(row, ensure_ascii=False, default=str).encode(), row


def _columns_of(path: Path) -> list[str] | None:
    form = form_of(path)
    try:
        if form == "parquet":
            return list(pl.read_parquet_schema(path))
        with Tape(path) as tape:
            if not form.startswith("csv"):
                return None
            header = list(read_header(tape).columns)
            problem = tape.problem
        "".join(header).encode()
    except FileNotFoundError:
        raise IngestError("there is no such file", path=path, remedy="check its name") from None
    except UnicodeEncodeError:
        message = "the column names are not UTF-8"
        code = "UTF-16" if header[0].startswith(_UTF16_MARKS) else "LATIN1"
        remedy = f"save it as UTF-8, such as by iconv -f {code} -t UTF-8"
        raise IngestError(message, path=path, line=1, remedy=remedy) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"it cannot be read as {form}: {error}"
        raise IngestError(message, path=path, line=1, remedy="check the file's format") from None
    if problem is not None:
        message, remedy = f"it cannot be read as {form}: {problem.detail}", "bring the whole file"
        raise IngestError(message, path=path, remedy=remedy)
    if not header:
        remedy = "bring a file with a header line"
        raise IngestError("the file is empty", path=path, remedy=remedy)
    return header


def _rows_of(path: Path) -> Iterator[RawRow]:
    form = form_of(path)
    if form == "parquet":
        return _parquet_rows(path)
    return _csv_rows(path) if form.startswith("csv") else _json_rows(path)


def _csv_rows(path: Path) -> Iterator[RawRow]:
    """Yield records with their first line's number, their bytes, and their cells by column."""
    with Tape(path) as tape:
        header = read_header(tape)
        while (record := next_record(tape, header)) is not None:
            yield record


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    for part in parquet_parts(path):
        if part.problem is not None:
            yield part.offset + 1, b"", part.problem
            continue
        yield from rows_of_frame(
            part.rows, range(part.offset + 1, part.offset + 1 + len(part.rows))
        )


def _json_rows(path: Path) -> Iterator[RawRow]:
    with Tape(path) as tape:
        for number, raw, problem in tape.lines():
            line = raw.rstrip(b"\r")
            if problem is not None:
                yield number, line, problem
                continue
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                yield number, line, EventRejected("not_json", str(error))
                continue
            if isinstance(row, dict):
                yield number, line, row
            else:
                yield number, line, EventRejected("not_json", "the line is no object")
