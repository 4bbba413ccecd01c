"""Rows of CSV, Parquet and JSON-lines files → the fields of wire events.

A row that cannot be mapped is one reject; everything else is checked by the same validation as
wire events. CSV is read record by record, so that a quarantined one keeps its bytes and its line.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Names
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from abplatform.domain.events import CURRENT_SCHEMA, EVENT_TYPES, EventRejected
from abplatform.errors import IngestError, MappingError
from abplatform.logs.landing import form_of
from abplatform.logs.mapping.amounts import read_amount
from abplatform.logs.mapping.moments import read_day, read_moment
from abplatform.logs.mapping.parquet import parquet_parts
from abplatform.logs.mapping.records import next_record, read_header
from abplatform.logs.mapping.spec import Mapping
from abplatform.logs.tape import Tape
from abplatform.yaml_text import nearest

__all__ = [
    "Mapped",
    "MappedRow",
    "RawRow",
    "RowMapper",
    "Wire",
    "check_columns",
    "map_row",
    "read_rows",
    "rows_of_frame",
    "sample_rows",
]

_FLAGS: Final = {"1": True, "true": True, "1.0": True, "0": False, "false": False, "0.0": False}
_WIRE_FIELDS: Final = frozenset(
    {"event_type"} | {name for kind in EVENT_TYPES.values() for name in kind.__struct_fields__}
)


RawRow = tuple[int, bytes, Names[str, Any] | EventRejected]
"""A row's line, its bytes, and its cells by column or what is wrong with it."""


@dataclass(frozen=True, slots=True)
class MappedRow:
    """One row of a foreign log.

    Args:
        line: In the file for CSV and JSON lines, the row's number for Parquet; from 1.
        raw: The record's bytes; for Parquet the row as JSON.
        events: Fields of the wire events it stands for.
        problem: Why it stands for none, or None.
    """

    line: int
    raw: bytes
    events: tuple[dict[str, Any], ...] = ()
    problem: EventRejected | None = None


class RowMapper(Protocol):
    """Turns one row into the fields of events."""

    def events(self, row: Names[str, Any], number: int) -> tuple[dict[str, Any], ...]:
        """Return the fields of the events that a row stands for.

        Args:
            row: Column to value; None where there is none.
            number: The row's number, from 1.

        Raises:
            EventRejected: It cannot be mapped.
        """


class Wire:
    """Rows whose columns are wire fields already."""

    def events(self, row: Names[str, Any], number: int) -> tuple[dict[str, Any], ...]:
        """Return the row's fields that have a value."""
        del number
        fields = {
            name: _plain(value, keep_nested=True)
            for name, value in row.items()
            if name in _WIRE_FIELDS and not _is_missing(value)
        }
        if str(fields.get("schema")) == str(CURRENT_SCHEMA):
            fields["schema"] = CURRENT_SCHEMA
        return (fields,)


@dataclass(slots=True)
class Mapped:
    """Rows read by a mapping.

    Args:
        mapping: What reads them.
        file_sha256: Of the file; its first 12 digits make ids unique.
        time_zone: Where a workspace day begins, for dates and weeks.
    """

    mapping: Mapping
    file_sha256: str
    time_zone: ZoneInfo
    _seen: Counter[str] = field(default_factory=Counter)

    def events(self, row: Names[str, Any], number: int) -> tuple[dict[str, Any], ...]:
        """Return the event of a row, and its click where it has one."""
        mapping = self.mapping
        fields: dict[str, Any] = {"schema": CURRENT_SCHEMA, "event_type": mapping.event}
        fields |= mapping.constants
        for name, column in mapping.columns.items():
            value = row.get(column)
            if not _is_missing(value):
                fields[name] = _plain(value)
        for name, column in mapping.amounts.items():
            value = row.get(column)
            if not _is_missing(value):
                fields[name] = read_amount(value, column, decimal=mapping.decimal)
        stem = self.file_sha256[:12]
        for name, word in mapping.row_numbers.items():
            fields[name] = (
                self._numbered(row, word) if name == "variant" else f"{stem}-{word}-{number}"
            )
        fields.setdefault("event_id", f"{stem}-{mapping.event}-{number}")
        self._add_time(fields, row)
        self._add_text(fields, row)
        if mapping.clicked is None or not _flag(row, mapping.clicked):
            return (fields,)
        click = {
            "schema": CURRENT_SCHEMA,
            "event_type": "click",
            "event_id": f"{fields['event_id']}-click",
            "ts": fields["ts"],
            "impression_id": fields["event_id"],
        }
        return fields, click

    def _numbered(self, row: Names[str, Any], column: str) -> str:
        group = row.get(column)
        if _is_missing(group):
            raise EventRejected("missing_field", f"the column {column!r} is empty")
        key = str(_plain(group))
        self._seen[key] += 1
        return f"v{self._seen[key]}"

    def _add_time(self, fields: dict[str, Any], row: Names[str, Any]) -> None:
        column = self.mapping.time_column
        if column is None:
            day = read_day(fields.get("day"))
            moment = datetime(day.year, day.month, day.day, tzinfo=self.time_zone)
            fields["ts"] = moment.isoformat()
            return
        value = row.get(column)
        if _is_missing(value):
            raise EventRejected("missing_field", f"the column {column!r} is empty")
        mapping = self.mapping
        fields["ts"] = read_moment(value, mapping.time_format, self.time_zone, mapping.time_zone)
        if self.mapping.event == "aggregate" and "day" not in fields:
            try:
                moment = datetime.fromisoformat(fields["ts"])
            except ValueError as error:
                raise EventRejected("bad_timestamp", str(error)) from None
            fields["day"] = moment.astimezone(self.time_zone).date().isoformat()

    def _add_text(self, fields: dict[str, Any], row: Names[str, Any]) -> None:
        if not self.mapping.text:
            return
        parts = [row.get(column) for column in self.mapping.text]
        text = "\n".join(str(part) for part in parts if not _is_missing(part))
        fields["creative_text"] = text
        digits = hashlib.sha256(text.encode()).hexdigest()[:12]
        fields.setdefault("creative_id", f"text-{digits}")


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


def map_row(record: RawRow, number: int, mapper: RowMapper) -> MappedRow:
    """Make the fields of events of one row.

    Args:
        record: Its line, its bytes, and its cells or what is wrong with it.
        number: The row's number, from 1.
        mapper: What makes events of it.
    """
    line, raw, row = record
    if isinstance(row, EventRejected):
        return MappedRow(line, raw, problem=row)
    try:
        return MappedRow(line, raw, mapper.events(row, number))
    except EventRejected as error:
        return MappedRow(line, raw, problem=error)


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


def _rows_of(path: Path) -> Iterator[RawRow]:
    form = form_of(path)
    if form == "parquet":
        return _parquet_rows(path)
    return _csv_rows(path) if form.startswith("csv") else _json_rows(path)


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
        remedy = "save it as UTF-8, such as by iconv -f LATIN1 -t UTF-8"
        raise IngestError(message, path=path, line=1, remedy=remedy) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"it cannot be read as {form}: {error}"
        raise IngestError(message, path=path, line=1, remedy="check the file's format") from None
    if not header:
        message = (
            f"it cannot be read as {form}: {problem.detail}" if problem else "the file is empty"
        )
        raise IngestError(message, path=path, remedy="bring a file with a header line")
    return header


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


def rows_of_frame(rows: pl.DataFrame, numbers: Iterable[int]) -> Iterator[RawRow]:
    """Yield a frame's rows with their numbers and as JSON, since they have no bytes of their own.

    Args:
        rows: Of a Parquet file.
        numbers: The number of each, from 1.
    """
    for number, row in zip(numbers, rows.iter_rows(named=True), strict=True):
        yield number, json.dumps(row, ensure_ascii=False, default=str).encode(), row


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


def _is_missing(value: Any) -> bool:
    """Whether a cell holds nothing; pandas writes missing numbers as NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any, *, keep_nested: bool = False) -> Any:
    """Write a cell as text, the way that validation reads numbers, flags and moments."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | dict):
        return value if keep_nested else json.dumps(value, default=str)
    return str(value)


def _flag(row: Names[str, Any], column: str) -> bool:
    value = row.get(column)
    if _is_missing(value):
        raise EventRejected("missing_field", f"the column {column!r} is empty")
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise EventRejected("wrong_type", f"the column {column!r} is {value!r}, not 0 or 1")
    return flag
