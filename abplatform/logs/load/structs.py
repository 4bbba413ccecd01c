"""Events that msgspec has decoded and checked → columns of wire fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import polars as pl

from abplatform.domain.events import EVENT_TYPES, Event
from abplatform.logs.load.columns import COVARIATES

__all__ = ["Columns", "Gathered", "columns_of"]

_NOT_COLUMNS: Final = frozenset({"schema", "assignments", "attributes", "ts"})
_LARGEST: Final = 10**12


def _dtype_of(hint: Any) -> type[pl.DataType]:
    """Return the column type of a field's type: the first one of a union, without its bounds."""
    while get_args(hint) and hint not in _DTYPES:
        is_literal = get_origin(hint) is not None and isinstance(get_args(hint)[0], str)
        hint = str if is_literal else get_args(hint)[0]
    return _DTYPES[hint]


_DTYPES: Final[Mapping[Any, type[pl.DataType]]] = {
    str: pl.String,
    int: pl.Int64,
    float: pl.Float64,
    bool: pl.Boolean,
    date: pl.Date,
}
_COLUMNS: Final[Mapping[type, Mapping[str, type[pl.DataType]]]] = {
    kind: {
        name: _dtype_of(hint)
        for name, hint in get_type_hints(kind).items()
        if name in kind.__struct_fields__ and name not in _NOT_COLUMNS
    }
    for kind in EVENT_TYPES.values()
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Events as columns.

    Args:
        events: Event types and their columns of wire fields, besides ``line``; an event in several
            experiments is several rows.
        covariates: The numbers among their attributes, in millionths: the columns of COVARIATES.
    """

    events: list[tuple[str, pl.DataFrame]]
    covariates: pl.DataFrame


class Gathered:
    """Events taken apart into their fields as they come, while they are warm, by event type."""

    def __init__(self) -> None:
        self._cells: dict[type, list[list[Any]]] = {}
        self._lines: dict[type, list[int]] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many events there are."""
        return self._count

    def add(self, events: Sequence[Event], lines: Sequence[int]) -> None:
        """Add events and the line of each."""
        self._count += len(events)
        kinds = set(map(type, events))
        for kind in kinds:
            some, places = events, lines
            if len(kinds) > 1:
                some = [event for event in events if type(event) is kind]
                pairs = zip(events, lines, strict=True)
                places = [line for event, line in pairs if type(event) is kind]
            fresh = list(zip(*map(msgspec.structs.astuple, some), strict=True))
            if kind not in self._cells:
                self._cells[kind] = [[] for _ in fresh]
                self._lines[kind] = []
            for held, more in zip(self._cells[kind], fresh, strict=True):
                held.extend(more)
            self._lines[kind].extend(places)

    def columns(self) -> Columns:
        """Return what was gathered as columns."""
        found, numbers = [], list[tuple[int, str, int]]()
        for kind, values in self._cells.items():
            names = kind.__struct_fields__  # type: ignore[attr-defined]  # every event is a Struct
            cells = dict(zip(names, values, strict=True))
            found.append((_tag(kind), _frame(kind, cells, self._lines[kind])))
            numbers += _covariates(cells.get("attributes", ()), self._lines[kind])
        return Columns(found, pl.DataFrame(numbers, schema=dict(COVARIATES), orient="row"))


def columns_of(events: Sequence[Event], lines: Sequence[int]) -> Columns:
    """Return the columns of events.

    Args:
        events: Valid ones.
        lines: The line of each.
    """
    gathered = Gathered()
    gathered.add(events, lines)
    return gathered.columns()


def _covariates(
    attributes: Sequence[Mapping[str, Any] | None], lines: Sequence[int]
) -> list[tuple[int, str, int]]:
    if attributes.count(None) == len(attributes):
        return []
    return [
        (line, name, round(value * 1_000_000))
        for told, line in zip(attributes, lines, strict=True)
        if told
        for name, value in told.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
        if abs(value) <= _LARGEST
    ]


def _tag(kind: type) -> str:
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]  # every event is a Struct


def _frame(kind: type, cells: Mapping[str, Sequence[Any]], lines: Sequence[int]) -> pl.DataFrame:
    columns = [
        pl.Series("line", lines, dtype=pl.Int64),
        pl.Series("ts_micros", _micros(cells["ts"]), dtype=pl.Int64),
    ]
    for name, dtype in _COLUMNS[kind].items():
        values = cells[name]
        # A field that nothing has costs no column.
        if values[0] is not None or values.count(None) < len(values):
            columns.append(pl.Series(name, values, dtype=dtype))
    attributes = cells.get("attributes", ())
    if attributes.count(None) < len(attributes):
        texts = [msgspec.json.encode(told).decode() if told else None for told in attributes]
        columns.append(pl.Series("attributes", texts, dtype=pl.String))
    frame = pl.DataFrame(columns)
    given = cells.get("assignments", ())
    return frame if given.count(None) == len(given) else _by_assignment(frame, cells)


def _micros(moments: Sequence[datetime]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return moments as microseconds since 1970.

    Seconds as a double know a microsecond until the year 2255, and nothing later passes the door.
    """
    seconds = np.array(list(map(datetime.timestamp, moments)))
    whole: np.ndarray[Any, np.dtype[np.int64]] = np.rint(seconds * 1e6).astype(np.int64)
    return whole


def _by_assignment(frame: pl.DataFrame, cells: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    """Repeat a row for each of its experiments; one without any stays once."""
    short = zip(cells["experiment"], cells["variant"], strict=True)
    given = [
        [(one.experiment, one.variant) for one in told] if told else [pair]
        for told, pair in zip(cells["assignments"], short, strict=True)
    ]
    if set(map(len, given)) != {1}:
        # Nearly every log has one experiment an event, so that no row moves.
        frame = frame[[row for row, told in enumerate(given) for _ in told]]
    ordinals = [ordinal for told in given for ordinal in range(len(told))]
    experiments, variants = zip(*(pair for told in given for pair in told), strict=True)
    return frame.with_columns(
        pl.Series("ordinal", ordinals, dtype=pl.Int16),
        pl.Series("experiment", experiments, dtype=pl.String),
        pl.Series("variant", variants, dtype=pl.String),
    )
