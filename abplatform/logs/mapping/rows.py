"""Rows of foreign logs → the fields of wire events.

A row that cannot be mapped is one reject; everything else is checked by the same validation as
wire events.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping as Names
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from abplatform.domain.events import CURRENT_SCHEMA, EVENT_TYPES, EventRejected
from abplatform.logs.mapping.amounts import read_amount
from abplatform.logs.mapping.moments import read_day, read_moment
from abplatform.logs.mapping.spec import AdSource, Mapping

__all__ = [
    "Mapped",
    "MappedRow",
    "RawRow",
    "RowMapper",
    "Wire",
    "map_row",
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
        if mapping.ad_source is not None:
            fields |= self._ad(mapping.ad_source, row)
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

    def _ad(self, source: AdSource, row: Names[str, Any]) -> Names[str, str]:
        """Return what the network's id stands for."""
        value = row.get(source.column)
        if _is_missing(value):
            raise EventRejected("missing_field", f"the column {source.column!r} is empty")
        ad_id = str(_plain(value)).strip()
        if ad_id not in source.known:
            raise EventRejected("unknown_ad", f"{source.channel} has told no ad {ad_id[:100]!r}")
        return source.known[ad_id]

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
