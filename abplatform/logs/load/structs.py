"""Events that msgspec has decoded and checked → columns of wire fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import polars as pl

from abplatform.domain.events import EVENT_TYPES, Assigned, Decision, Event, Impression
from abplatform.logs.load.columns import COVARIATES

__all__ = ["columns_of", "covariates_of"]

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


def columns_of(events: Sequence[Event], lines: Sequence[int]) -> dict[str, pl.DataFrame]:
    """Return the columns of events by event type; an event in several experiments is several rows.

    Args:
        events: Valid ones.
        lines: The line of each.
    """
    kinds = set(map(type, events))
    if len(kinds) == 1:
        return {_tag(kind): _frame(kind, events, lines) for kind in kinds}
    rows: dict[type, list[int]] = defaultdict(list)
    for row, event in enumerate(events):
        rows[type(event)].append(row)
    return {
        _tag(kind): _frame(kind, [events[row] for row in chosen], [lines[row] for row in chosen])
        for kind, chosen in rows.items()
    }


def covariates_of(events: Sequence[Event], lines: Sequence[int]) -> pl.DataFrame:
    """Return the numbers among events' attributes, in millionths: the columns of COVARIATES."""
    rows = [
        (line, name, round(value * 1_000_000))
        for event, line in zip(events, lines, strict=True)
        if isinstance(event, Impression | Decision) and event.attributes
        for name, value in event.attributes.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
        if abs(value) <= _LARGEST
    ]
    return pl.DataFrame(rows, schema=dict(COVARIATES), orient="row")


def _tag(kind: type) -> str:
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]  # every event is a Struct


def _frame(kind: type, events: Sequence[Event], lines: Sequence[int]) -> pl.DataFrame:
    names = kind.__struct_fields__  # type: ignore[attr-defined]  # every event is a Struct
    cells = dict(zip(names, zip(*map(msgspec.structs.astuple, events), strict=True), strict=True))
    columns = [
        pl.Series("line", lines, dtype=pl.Int64),
        pl.Series("ts_micros", _micros(cells["ts"]), dtype=pl.Int64),
    ]
    for name, dtype in _COLUMNS[kind].items():
        values = cells[name]
        # A field that nothing has costs no column.
        if values[0] is not None or values.count(None) < len(values):
            columns.append(pl.Series(name, values, dtype=dtype))
    attributes = cells.get("attributes", (None,))
    if attributes.count(None) < len(attributes):
        texts = [msgspec.json.encode(told).decode() if told else None for told in attributes]
        columns.append(pl.Series("attributes", texts, dtype=pl.String))
    frame = pl.DataFrame(columns)
    if cells.get("assignments", (None,)).count(None) == len(events) or "assignments" not in cells:
        return frame
    return _by_assignment(frame, cells)


def _micros(moments: Sequence[datetime]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return moments as microseconds since 1970.

    Seconds as a double know a microsecond until the year 2255, and nothing later passes the door.
    """
    seconds = np.array(list(map(datetime.timestamp, moments)))
    whole: np.ndarray[Any, np.dtype[np.int64]] = np.rint(seconds * 1e6).astype(np.int64)
    return whole


def _by_assignment(frame: pl.DataFrame, cells: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    """Repeat a row for each of its experiments; one without any stays once."""
    short = [Assigned("", "")]
    rows: list[tuple[int, int, str | None, str | None]] = [
        (row, ordinal, one.experiment or experiment, one.variant or variant)
        for row, (given, experiment, variant) in enumerate(
            zip(cells["assignments"], cells["experiment"], cells["variant"], strict=True)
        )
        for ordinal, one in enumerate(given or short)
    ]
    index, ordinals, experiments, variants = zip(*rows, strict=True)
    return frame[list(index)].with_columns(
        pl.Series("ordinal", ordinals, dtype=pl.Int16),
        pl.Series("experiment", experiments, dtype=pl.String),
        pl.Series("variant", variants, dtype=pl.String),
    )
