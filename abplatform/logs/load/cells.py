"""Cells of tables → wire fields of the right types, a column at a time.

This is the fast tier of CSV and Parquet files: it accepts what is obviously good and says which
rows it does not, so that these go one by one through
:func:`abplatform.domain.events.convert_event`, which stays the authority. What is accepted here is
accepted there, as the same event.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import msgspec
import polars as pl

from abplatform.domain.events import EVENT_TYPES
from abplatform.logs.load.instants import micros_of
from abplatform.logs.mapping.columns import LINE, ROW

__all__ = ["Checked", "check_cells"]

_DECIMAL: Final = r"^-?(0|[1-9]\d{0,14})(\.\d{1,17})?$"
_DATE: Final = r"^(19[7-9]|20\d|21\d)\d-\d\d-\d\d$"
_EXACT: Final = 2**53
_MANY: Final = 10**18
_SHORT: Final = 15


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows of one event type.

    Args:
        rows: All of them; the columns are wire fields of the right types.
        good: Whether each row is accepted here; None: all are.
    """

    rows: pl.DataFrame
    good: pl.Series | None


@dataclass(frozen=True, slots=True)
class _Field:
    """What msgspec asks of a field."""

    type: msgspec.inspect.Type
    is_required: bool
    default: Any


def check_cells(kind: str, rows: pl.DataFrame) -> Checked:
    """Give cells the types of their fields and tell which rows are good.

    Args:
        kind: The event type.
        rows: A column a wire field; text as CSV has it, or typed as in Parquet. Null stands for a
            field that is not there. Columns that are no fields are dropped, but for LINE and ROW,
            which become ``line`` and ``row``.
    """
    found: dict[str, pl.Series] = {"line": rows[LINE], "row": rows[ROW]}
    masks: list[pl.Series] = []
    for name, field in _FIELDS[kind].items():
        if name not in rows.columns or rows[name].null_count() == len(rows):
            if field.is_required:
                return Checked(rows.select(line=LINE, row=ROW), _all(len(rows), value=False))
            if field.default is not None:
                found[name] = _all(len(rows), value=field.default)
            continue
        cells = rows[name]
        if field.is_required and cells.null_count():
            masks.append(cells.is_not_null())
        value, good = _READERS[type(field.type)](cells, field.type)
        if good is not None and not good.all():
            masks.append(good.fill_null(value=True))
        if value is not None:
            found[_NAMES.get(name, name)] = (
                value if field.default is None else value.fill_null(field.default)
            )
    found.pop("schema", None)
    frame = pl.DataFrame([value.alias(name) for name, value in found.items()])
    fits = _follow(kind, frame)
    if not fits.all():
        masks.append(fits)
    return Checked(frame, reduce(operator.and_, masks) if masks else None)


def _follow(kind: str, rows: pl.DataFrame) -> pl.Series:
    """Tell which events follow their type's rule about several fields together."""
    rule = _RULES.get(kind, pl.repeat(value=True, n=pl.len()))
    absent = [name for name in rule.meta.root_names() if name not in rows.columns]
    whole = rows.with_columns(pl.lit(None).alias(name) for name in absent)
    return whole.select(fits=rule)["fits"].fill_null(value=False)


def _all(count: int, *, value: Any) -> pl.Series:
    return pl.repeat(value, count, eager=True)


def _where(fits: pl.Series, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(fits).then(values)).to_series()


_Read = tuple[pl.Series | None, pl.Series | None]
"""The values, and which cells were read (null: there is none to read); None: no values, or all."""


def _text(cells: pl.Series, field: Any) -> _Read:
    texts, good = _as_text(cells)
    if texts is None:
        return None, good
    # A character takes a byte at least, so that these bounds are the stricter ones.
    fits = texts.str.len_bytes().is_between(field.min_length or 0, field.max_length or _MANY)
    return texts, fits if good is None else good & fits


def _as_text(cells: pl.Series) -> _Read:
    """Write cells as text, as the row path writes them; what is not plain there is not read."""
    dtype = cells.dtype
    if dtype == pl.String:
        return cells, None
    if dtype.is_integer() or isinstance(dtype, pl.Enum | pl.Categorical):
        return cells.cast(pl.String), None
    if dtype.is_float():
        whole = _whole(cells)
        return whole.cast(pl.String), whole.is_not_null() | cells.is_null()
    return None, cells.is_null()


def _whole(cells: pl.Series) -> pl.Series:
    """Return floats that are whole numbers as such, the others as null."""
    fits = (cells == cells.floor()) & (cells.abs() < _EXACT)
    return _where(fits, cells).cast(pl.Int64)


def _integer(cells: pl.Series, field: Any) -> _Read:
    if cells.dtype == pl.String:
        values = cells.cast(pl.Int64, strict=False)
        # What is written otherwise, as +5, 05 or 5.0, is left to the row path.
        good = values.cast(pl.String).eq_missing(cells)
    elif cells.dtype.is_integer():
        values = cells.cast(pl.Int64, strict=False)
        good = values.is_not_null() | cells.is_null()
    elif cells.dtype.is_float():
        values = _whole(cells)
        good = values.is_not_null() | cells.is_null()
    else:
        return None, cells.is_null()
    low = -_MANY if field.ge is None else field.ge
    high = _MANY if field.le is None else field.le
    return values, good & values.is_between(low, high).fill_null(value=True)


def _float(cells: pl.Series, field: Any) -> _Read:
    if cells.dtype == pl.String:
        values = cells.cast(pl.Float64, strict=False)
        good = cells.str.contains(_DECIMAL)
    elif cells.dtype.is_float() or cells.dtype.is_integer() or _is_short(cells.dtype):
        values = cells.cast(pl.Float64)
        good = values.is_finite()
    else:
        return None, cells.is_null()
    good = good & values.is_finite()
    low = -1e18 if field.ge is None else field.ge
    high = 1e18 if field.le is None else field.le
    return values, (good & values.is_between(low, high)).fill_null(value=True)


def _is_short(dtype: pl.DataType) -> bool:
    """Whether a decimal's digits fit into a double, so that both ways of reading it agree."""
    return isinstance(dtype, pl.Decimal) and dtype.precision <= _SHORT


def _flag(cells: pl.Series, field: Any) -> _Read:
    del field
    if cells.dtype == pl.Boolean:
        return cells, None
    texts, good = _as_text(cells)
    if texts is None:
        return None, good
    is_true, is_false = texts.is_in(["true", "1"]), texts.is_in(["false", "0"])
    fits = is_true | is_false
    return _where(fits, is_true), fits if good is None else fits & good


def _literal(cells: pl.Series, field: Any) -> _Read:
    if cells.dtype.is_integer() and all(isinstance(value, int) for value in field.values):
        return cells, cells.is_in(field.values)
    texts, good = _as_text(cells)
    if texts is None:
        return None, good
    fits = texts.is_in([str(value) for value in field.values])
    return texts, fits if good is None else fits & good


def _moment(cells: pl.Series, field: Any) -> _Read:
    del field
    dtype = cells.dtype
    if dtype == pl.String:
        micros, good = micros_of(cells)
        return pl.Series(micros), pl.Series(good)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone and dtype.time_unit != "ns":
        return cells.cast(pl.Datetime("us", dtype.time_zone)).cast(pl.Int64), None
    return None, cells.is_null()


def _day(cells: pl.Series, field: Any) -> _Read:
    del field
    if cells.dtype == pl.Date:
        return cells, None
    if cells.dtype != pl.String:
        return None, cells.is_null()
    days = cells.str.to_date("%Y-%m-%d", strict=False)
    return days, days.is_not_null() & cells.str.contains(_DATE)


def _nested(cells: pl.Series, field: Any) -> _Read:
    del field
    return None, cells.is_null()


_READERS: Final[Mapping[type, Any]] = {
    msgspec.inspect.StrType: _text,
    msgspec.inspect.IntType: _integer,
    msgspec.inspect.FloatType: _float,
    msgspec.inspect.BoolType: _flag,
    msgspec.inspect.LiteralType: _literal,
    msgspec.inspect.DateTimeType: _moment,
    msgspec.inspect.DateType: _day,
    msgspec.inspect.ListType: _nested,
    msgspec.inspect.DictType: _nested,
}
_NAMES: Final = {"ts": "ts_micros"}


def _field_of(field: msgspec.inspect.Field) -> _Field:
    inner = field.type
    if isinstance(inner, msgspec.inspect.UnionType):
        inner = next(one for one in inner.types if not isinstance(one, msgspec.inspect.NoneType))
    default = None if field.default is msgspec.NODEFAULT else field.default
    return _Field(inner, field.required, default)


def _fields_of(kind: type) -> dict[str, _Field]:
    about = msgspec.inspect.type_info(kind)
    if not isinstance(about, msgspec.inspect.StructType):
        raise TypeError(kind)
    return {field.name: _field_of(field) for field in about.fields}


_FIELDS: Final = {tag: _fields_of(kind) for tag, kind in EVENT_TYPES.items()}

_STANDS: Final = pl.col("experiment").is_not_null() & pl.col("variant").is_not_null()
_OF_IMPRESSION: Final = pl.col("impression_id").is_not_null()
_RULES: Final[Mapping[str, pl.Expr]] = {
    "impression": _STANDS,
    "decision": _STANDS,
    "click": _OF_IMPRESSION | pl.col("decision_id").is_not_null(),
    "conversion": (_OF_IMPRESSION | pl.col("unit_id").is_not_null())
    & ((pl.col("kind") != "refund") | (pl.col("value_micros") <= 0)),
    "cost": _OF_IMPRESSION | (_STANDS & pl.col("day").is_not_null()),
    "aggregate": pl.col("clicks") <= pl.col("impressions"),
}
"""What the events' own checks ask of several fields together."""
